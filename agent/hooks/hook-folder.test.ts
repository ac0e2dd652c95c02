import { chmod, chown, link, mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { findHooks } from "./hook-folder.ts";
import { HooksOfTest } from "./testing/hooks-of-test.ts";

const isRoot = process.getuid?.() === 0;
let hooks: HooksOfTest;
let folder: string;

beforeEach(async () => {
  hooks = await HooksOfTest.create();
  ({ folder } = hooks.deps);
  return () => hooks[Symbol.asyncDispose]();
});

const refusal = () =>
  findHooks(folder).then(
    () => "",
    (error: Error) => error.message,
  );

test("a machine without the folder has no hooks", async () => {
  await rm(folder, { recursive: true });
  expect(await findHooks(folder)).toEqual([]);
});

describe.skipIf(!isRoot)("hooks", () => {
  test("are found in the order of their names, each with its scripts and its time limit", async () => {
    const b = await hooks.add("20-b", { before: ":" });
    const a = await hooks.add("10-a", { before: ":", after: ":", limitSeconds: 90 });
    await writeFile(join(folder, ".keep"), "");
    await writeFile(join(a, "settings"), "port=5433\n");
    expect(await findHooks(folder)).toEqual([
      { name: "10-a", before: `${a}/before`, after: `${a}/after`, limitMs: 90_000 },
      { name: "20-b", before: `${b}/before`, limitMs: 30_000 },
    ]);
  });

  test.each<[string, RegExp, (hook: string) => Promise<unknown>]>([
    ["another user's folder", /a is not used: it belongs to user 1234/, (hook) => chown(hook, 1234, 0)],
    [
      "another user's script",
      /before is not used: it belongs to user 1234/,
      (hook) => chown(`${hook}/before`, 1234, 0),
    ],
    [
      "a script that a group may write to",
      /after is not used: users other than root may write/,
      (hook) => chmod(`${hook}/after`, 0o775),
    ],
    [
      "a folder that every user may write to",
      /a is not used: users other than root may write/,
      (hook) => chmod(hook, 0o777),
    ],
    [
      "a sticky folder that every user may write to",
      /a is not used: users other than root may write/,
      (hook) => chmod(hook, 0o1777),
    ],
    [
      "a script that is not executable",
      /before is not used: it is not executable/,
      (hook) => chmod(`${hook}/before`, 0o644),
    ],
    [
      "a file beside the scripts that others may write to",
      /settings is not used: users other than root/,
      async (hook) => {
        await writeFile(`${hook}/settings`, "");
        await chmod(`${hook}/settings`, 0o666);
      },
    ],
    ["a folder beside the scripts", /lib is not used: it is not a file/, (hook) => mkdir(`${hook}/lib`)],
    [
      "a script that is a link",
      /before is not used: it is a link/,
      async (hook) => {
        await rename(`${hook}/before`, `${hook}/real`);
        await symlink(`${hook}/real`, `${hook}/before`);
      },
    ],
    [
      "a hook that is a link",
      /a is not used: it is a link/,
      async (hook) => {
        await rename(hook, join(hook, "../../elsewhere"));
        await symlink(join(hook, "../../elsewhere"), hook);
      },
    ],
    [
      "a hook without the script before",
      /a is not used: it has no script named before/,
      (hook) => rm(`${hook}/before`),
    ],
    [
      "a time limit that is no number",
      /time-limit is not used: it is not a number of seconds/,
      (hook) => writeFile(`${hook}/time-limit`, "1h"),
    ],
    [
      "a time limit of no time",
      /time-limit is not used: it is not a number of seconds/,
      (hook) => writeFile(`${hook}/time-limit`, "0"),
    ],
    [
      "a name with other characters",
      /a\.old is not used: a hook's name has only letters/,
      (hook) => rename(hook, `${hook}.old`),
    ],
    [
      "a script in the place of a hook",
      /stray is not used: it is not a folder/,
      (hook) => link(`${hook}/before`, join(hook, "../stray")),
    ],
  ])("are refused, and the refusal says why: %s", async (_, why, spoil) => {
    const hook = await hooks.add("a", { before: ":", after: ":" });
    await hooks.add("b", { before: ":" });
    await spoil(hook);
    expect(await refusal()).toMatch(why);
  });

  test("are refused if another user decides about a folder above them, or one is a link", async () => {
    await hooks.add("a", { before: ":" });
    await chown(hooks.root, 1234, 0);
    expect(await refusal()).toBe(`${hooks.root} is not used: it belongs to user 1234, not to root`);
    await chown(hooks.root, 0, 0);
    await chmod(hooks.root, 0o777);
    expect(await refusal()).toContain("users other than root may write to it");
    await chmod(hooks.root, 0o755);
    await rename(folder, `${folder}-real`);
    await symlink(`${folder}-real`, folder);
    expect(await refusal()).toBe(`${folder} is not used: it is a link`);
  });

  test("are refused if there are more than a report has room for", async () => {
    for (let count = 0; count < 17; count++) await hooks.add(`hook-${count}`, { before: ":" });
    expect(await refusal()).toContain("it has 17 hooks, and at most 16 are run");
  });
});
