import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { LEAN_ENVIRONMENT, LEAN_FLAGS } from "./lean-process.ts";

const module = JSON.stringify(join(import.meta.dirname, "lean-process.ts"));

/**
 * Runs a program that becomes lean and restarts; returns its process id and what each of its starts printed,
 * by line.
 */
async function startsOf(
  settling: { enrolled: boolean },
  environment: NodeJS.ProcessEnv = {},
): Promise<{ pid: number | undefined; starts: Record<string, unknown>[] }> {
  const folder = await mkdtemp(join(tmpdir(), "causeway-lean-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const program = join(folder, "program.ts");
  await writeFile(
    program,
    `import { becomeLean, restartOnce } from ${module};
    const { execArgv, argv, env, pid } = process;
    console.log(JSON.stringify({ execArgv, words: argv.slice(2), arenas: env.MALLOC_ARENA_MAX, pid }));
    becomeLean(process, ${JSON.stringify(join(folder, "compiled"))});
    restartOnce(process, ${JSON.stringify(settling)});`,
  );
  const { MALLOC_ARENA_MAX: _, NODE_COMPILE_CACHE: __, ...env } = process.env;
  const words = ["agent", "--data", "a b"];
  const running = promisify(execFile)(process.execPath, [program, ...words], {
    env: { ...env, ...environment },
  });
  const { stdout } = await running;
  const starts = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { pid: running.child.pid, starts };
}

test("a program restarts in its process with the settings and its arguments", async () => {
  const { pid, starts } = await startsOf({ enrolled: false });
  expect(starts[0]).toMatchObject({ execArgv: [], pid });
  expect(starts[1]).toMatchObject({ words: ["agent", "--data", "a b"], arenas: "1", pid });
  expect(starts[1]?.execArgv).toEqual(LEAN_FLAGS);
});

test("a program that compiled modules or enrolled restarts once more, and then never again", async () => {
  // The cache is empty, so the first lean start compiles this program.
  expect((await startsOf({ enrolled: false })).starts).toHaveLength(3);
  const { pid, starts } = await startsOf({ enrolled: true });
  expect(starts).toHaveLength(3);
  expect(starts[2]).toMatchObject({ words: ["agent", "--data", "a b"], arenas: "1", pid });
});

test("the boot environment starts its agent with the same settings", async () => {
  const script = await readFile(
    join(import.meta.dirname, "../boot-image-builder/files/causeway-agent"),
    "utf8",
  );
  const settings = Object.entries(LEAN_ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  for (const setting of [...settings, ...LEAN_FLAGS]) expect(script.split(/\s+/)).toContain(setting);
});

test("settings that the operator made for the C library are kept", async () => {
  const { starts } = await startsOf({ enrolled: false }, { MALLOC_ARENA_MAX: "5" });
  expect(starts.at(-1)).toMatchObject({ arenas: "5", words: ["agent", "--data", "a b"] });
});
