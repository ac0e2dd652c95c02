import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { LEAN_FLAGS } from "./lean-process.ts";

const module = JSON.stringify(join(import.meta.dirname, "lean-process.ts"));
const program = `
  const { becomeLean } = await import(${module});
  becomeLean(process, ${JSON.stringify(join(import.meta.dirname, "../.cache/compiled"))});
  const { execArgv, argv, env, pid } = process;
  console.log(JSON.stringify({ execArgv, words: argv.slice(1), arenas: env.MALLOC_ARENA_MAX, pid }));
`;

test("a program starts anew once with the settings, its arguments and its process", async () => {
  const { MALLOC_ARENA_MAX: _, ...env } = process.env;
  const running = promisify(execFile)(
    process.execPath,
    ["--input-type=module", "-e", program, "--", "agent", "--data", "a b"],
    { env },
  );
  const told = JSON.parse((await running).stdout);
  expect(told.execArgv).toEqual(expect.arrayContaining([...LEAN_FLAGS]));
  expect(told).toMatchObject({ words: ["agent", "--data", "a b"], arenas: "2", pid: running.child.pid });
});

test("settings that the operator made for the C library are left as they are", async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "-e", program, "--", "agent"],
    { env: { ...process.env, MALLOC_ARENA_MAX: "5" } },
  );
  expect(JSON.parse(stdout)).toMatchObject({ arenas: "5", words: ["agent"] });
});
