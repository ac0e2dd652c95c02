import { existsSync } from "node:fs";
import { chmod, chown, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { keptMachine } from "../hypervisor/testing/kept-machine.ts";
import { findCheckScript, findCheckScripts, scriptRefusal } from "./check-script.ts";

const isRoot = process.getuid?.() === 0;
let root: string;
let folder: string;
/** The fields of each line. */
let warnings: unknown[];

beforeEach(async () => {
  warnings = [];
  root = await mkdtemp(join(tmpdir(), "causeway-check-"));
  folder = join(root, "checks");
  await mkdir(folder);
  return () => rm(root, { recursive: true, force: true });
});

async function add(body: string, name = "web"): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return path;
}

const listed = () => findCheckScripts(folder, { warn: (_, fields) => warnings.push(fields) });

const never = new AbortController().signal;
const run = (signal = never) => scriptRefusal(folder, "web", keptMachine({ ownerId: "cut_1" }), signal);

test("a script that the target host does not have is named with its folder", async () => {
  const missing = { name: "CheckScriptMissingError", message: `there is no check script web in ${folder}` };
  await add(":", "other");
  await expect(findCheckScript(folder, "web")).rejects.toMatchObject(missing);
  await rm(folder, { recursive: true });
  await expect(findCheckScript(folder, "web")).rejects.toMatchObject(missing);
});

test("a target host without the folder has no check scripts", async () => {
  await rm(folder, { recursive: true });
  expect(await listed()).toEqual([]);
  expect(warnings).toEqual([]);
});

test("a target host with a file in place of the folder has no check scripts, and its log says why", async () => {
  await rm(folder, { recursive: true });
  await writeFile(folder, "");
  expect(await listed()).toEqual([]);
  expect(warnings).toEqual([{ path: folder, error: expect.stringContaining("ENOTDIR") }]);
});

describe.skipIf(!isRoot)("a check script", () => {
  test("is listed if it can be run now", async () => {
    for (const name of ["web.sh", "db", "notes", ".hidden", "two words"]) await add(":", name);
    await chmod(join(folder, "notes"), 0o644);
    expect(await listed()).toEqual(["db", "web.sh"]);
    expect(warnings).toEqual([
      { path: join(folder, "notes"), error: expect.stringContaining("not executable") },
    ]);
    await chmod(folder, 0o777);
    expect(await listed()).toEqual([]);
  });

  test("that ends with status 0 succeeds, and gets the machine's name, owner and hypervisor, and nothing else", async () => {
    await add(`env > '${root}/env'; pwd >> '${root}/env'; cat >> '${root}/env'; echo said`);
    expect(await run()).toBeUndefined();
    const lines = (await readFile(join(root, "env"), "utf8")).trim().split("\n");
    expect(lines.filter((line) => !/^(PWD|OLDPWD|SHLVL|_|PATH)=/.test(line)).sort()).toEqual([
      "/",
      "CAUSEWAY_HYPERVISOR=libvirt",
      "CAUSEWAY_MACHINE=web1",
      "CAUSEWAY_OWNER_ID=cut_1",
    ]);
  });

  test("that fails gives its status, its last line, and the end of what it wrote, fit for a terminal", async () => {
    await add(`printf 'checking\\n'; printf '\\033[2J\\033]0;x\\007no rows\\n' >&2; exit 7`);
    const refusal = await run();
    expect(refusal?.why).toMatch(/^it ended with status 7: .*no rows$/);
    expect(refusal?.output).toMatch(/^checking\n\n.*no rows\n$/);
    expect(JSON.stringify(refusal)).not.toMatch(/\\u00(1b|07)/);
    await add("exit 1");
    expect(await run()).toEqual({ why: "it ended with status 1" });
  });

  test("that writes a flood keeps only the end of it", async () => {
    await add("head -c 5000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 1");
    const { why, output } = (await run()) ?? {};
    expect(why).toBe("it ended with status 1: the end");
    expect(output).toHaveLength(2000);
    expect(output).toMatch(/x\nthe end\n$/);
  });

  test("that is still running when the time for the answer is over is ended, and what it wrote is kept", async () => {
    await add(`echo waiting for the database; : > '${root}/running'; exec sleep 600`);
    const over = new AbortController();
    const running = run(over.signal);
    while (!existsSync(join(root, "running"))) await new Promise((resolve) => setTimeout(resolve, 20));
    over.abort();
    expect(await running).toEqual({
      why: "it did not end in time: waiting for the database",
      output: "waiting for the database\n",
    });
  });

  test("that leaves a program in the background is not waited for", async () => {
    await add("sleep 5 & echo started");
    const began = performance.now();
    expect(await run()).toBeUndefined();
    expect(performance.now() - began).toBeLessThan(3000);
  });

  test("that is no program of this host has not succeeded", async () => {
    await writeFile(join(folder, "web"), "#!/nowhere/sh\n", { mode: 0o755 });
    expect((await run())?.why).toMatch(/^it could not be started: .*ENOENT/);
  });

  test.each<[string, RegExp, (script: string) => Promise<unknown>]>([
    ["is another user's", /web is not used: it belongs to user 1234/, (script) => chown(script, 1234, 0)],
    ["a group may write to", /web is not used: users other than root/, (script) => chmod(script, 0o775)],
    ["is not executable", /web is not used: it is not executable/, (script) => chmod(script, 0o644)],
    [
      "is a link",
      /web is not used: it is a link/,
      async (script) => {
        await rename(script, join(root, "web"));
        await symlink(join(root, "web"), script);
      },
    ],
    [
      "is beside a file that others may write to",
      /settings is not used: users other than root/,
      async () => {
        await writeFile(join(folder, "settings"), "");
        await chmod(join(folder, "settings"), 0o666);
      },
    ],
    [
      "is in a folder of another user",
      /checks is not used: it belongs to user/,
      () => chown(folder, 1234, 0),
    ],
    ["is below a folder that all may write to", /users other than root may/, () => chmod(root, 0o777)],
  ])("that %s is not run, and the refusal says why", async (_, why, spoil) => {
    await spoil(await add(`: > '${root}/ran'`));
    await expect(findCheckScript(folder, "web")).rejects.toThrow(why);
    await expect(run()).rejects.toThrow(why);
    expect(existsSync(join(root, "ran"))).toBe(false);
  });
});
