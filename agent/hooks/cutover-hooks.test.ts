import { existsSync } from "node:fs";
import { chmod, rm, writeFile } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import { beforeEach, describe, expect, test } from "vitest";
import { CutoverHooks } from "./cutover-hooks.ts";
import { HooksOfTest } from "./testing/hooks-of-test.ts";

const CUTOVER = "cut_01hzy3v9xkq8m7n5t4r2w1e0aa";
const never = new AbortController().signal;
let hooks: HooksOfTest;

beforeEach(async () => {
  hooks = await HooksOfTest.create();
  return () => hooks[Symbol.asyncDispose]();
});

/** As an agent that has just started has them. */
const cutover = () => new CutoverHooks(hooks.deps);
const says = (name: string) => ({
  before: `note ${name} $CAUSEWAY_PHASE $CAUSEWAY_CUTOVER_ID`,
  after: `note ${name} $CAUSEWAY_PHASE $CAUSEWAY_CUTOVER_ID`,
});

test("a source without hooks has nothing to run before or after", async () => {
  await rm(hooks.deps.folder, { recursive: true });
  await cutover().before(CUTOVER, never);
  expect(await cutover().after()).toBeUndefined();
});

describe.skipIf(process.getuid?.() !== 0)("cutover hooks", () => {
  test("run in the order of their names, and are undone in reverse, once, also after a restart of the agent", async () => {
    await hooks.add("20-jobs", says("jobs"));
    await hooks.add("10-balancer", says("balancer"));
    await cutover().before(CUTOVER, never);
    for (const _ of "12") expect(await cutover().after()).toBeUndefined();
    expect(await hooks.noted()).toEqual([
      `balancer before ${CUTOVER}`,
      `jobs before ${CUTOVER}`,
      `jobs after ${CUTOVER}`,
      `balancer after ${CUTOVER}`,
    ]);
    expect(existsSync(hooks.pendingFile)).toBe(false);
  });

  test("that fail stop the cutover with their last line; what was started is undone, and no other", async () => {
    await hooks.add("a", says("a"));
    await hooks.add("b", { before: "echo 17 jobs still run >&2; exit 1", after: "note b after" });
    await hooks.add("c", says("c"));
    await expect(cutover().before(CUTOVER, never)).rejects.toMatchObject({
      name: "CutoverHookFailedError",
      message: "the cutover hook b/before did not succeed: it ended with status 1: 17 jobs still run",
    });
    expect(await cutover().after()).toBeUndefined();
    expect(await hooks.noted()).toEqual([`a before ${CUTOVER}`, "b after", `a after ${CUTOVER}`]);
  });

  test("that cannot be trusted are not run, and stop the cutover", async () => {
    await hooks.add("a", says("a"));
    await writeFile(`${await hooks.add("b", says("b"))}/settings`, "");
    await chmod(`${hooks.deps.folder}/b/settings`, 0o666);
    await expect(cutover().before(CUTOVER, never)).rejects.toMatchObject({ name: "UntrustedFolderError" });
    expect(await hooks.noted()).toEqual([]);
  });

  test("that are running when the cutover is stopped are ended and undone", async () => {
    await hooks.add("a", { before: "note begun; exec sleep 600", after: "note a after" });
    const stop = new AbortController();
    const running = cutover().before(CUTOVER, stop.signal);
    while ((await hooks.noted()).length === 0) await wait(20);
    stop.abort(new Error("rolled back"));
    await expect(running).rejects.toThrow("rolled back");
    expect(await cutover().after()).toBeUndefined();
    expect(await hooks.noted()).toEqual(["begun", "a after"]);
  });

  test("whose after fails are named, the others run, and it is not run again", async () => {
    await hooks.add("a", says("a"));
    await hooks.add("b", { before: ":", after: "echo no balancer; exit 2" });
    await cutover().before(CUTOVER, never);
    expect((await cutover().after())?.message).toBe(
      "the cutover hook b/after did not succeed: it ended with status 2: no balancer",
    );
    expect((await hooks.noted()).at(-1)).toBe(`a after ${CUTOVER}`);
    expect(await cutover().after()).toBeUndefined();
  });

  test("whose after can no longer be trusted stay pending, and stop another cutover, until they can", async () => {
    const folder = await hooks.add("a", says("a"));
    await cutover().before(CUTOVER, never);
    await chmod(`${folder}/after`, 0o777);
    expect((await cutover().after())?.message).toContain("users other than root may write to it");
    await expect(cutover().before(CUTOVER, never)).rejects.toThrow("a/after did not succeed");
    await chmod(`${folder}/after`, 0o755);
    expect(await cutover().after()).toBeUndefined();
    expect(await hooks.noted()).toEqual([`a before ${CUTOVER}`, `a after ${CUTOVER}`]);
  });

  test("of which the note is damaged are all undone", async () => {
    await hooks.add("a", says("a"));
    await writeFile(hooks.pendingFile, "{");
    expect(await cutover().after()).toBeUndefined();
    expect(await hooks.noted()).toEqual(["a after unknown"]);
  });
});
