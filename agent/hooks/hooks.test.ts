import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { appendFile, chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { beforeEach, describe, expect, test } from "vitest";
import * as z from "zod";
import { shortfallOf } from "#shared/domain/hook-shortfall.ts";
import { PointHooks } from "#shared/protocol/point-hooks.ts";
import { runPendingHooks, withHooks } from "./hooks.ts";
import { findProcess, processIdentity } from "./process-identity.ts";
import { HooksOfTest, POINT } from "./testing/hooks-of-test.ts";

const isRoot = process.getuid?.() === 0;
let hooks: HooksOfTest;

beforeEach(async () => {
  hooks = await HooksOfTest.create();
  return () => hooks[Symbol.asyncDispose]();
});

/** Notes when the view is opened, and what is pending then. */
async function openView(): Promise<string> {
  const pending = existsSync(hooks.pendingFile) ? await readFile(hooks.pendingFile, "utf8") : "nothing";
  await appendFile(hooks.notes, "view\n");
  return pending;
}

test("without hooks the view is opened, nothing is written, and the copy is not the application's", async () => {
  const { view, hooks: report } = await withHooks(hooks.deps, POINT, openView);
  expect([view, report]).toEqual(["nothing", { scripts: [] }]);
  expect(shortfallOf(report)).toBe("the machine has no hooks");
  expect(hooks.logged).toEqual([]);
});

describe.skipIf(!isRoot)("hooks", () => {
  test("run in the order of their names before the view, and in reverse order after it", async () => {
    const says = (name: string) => ({
      before: `note ${name} $CAUSEWAY_PHASE $CAUSEWAY_POINT_ID`,
      after: `note ${name} $CAUSEWAY_PHASE $CAUSEWAY_POINT_ID`,
    });
    await hooks.add("20-b", says("b"));
    await hooks.add("10-a", says("a"));
    await hooks.add("30-c", { before: "note c before" });
    const { view, hooks: report } = await withHooks(hooks.deps, POINT, openView);
    const notes = [
      `a before ${POINT}`,
      `b before ${POINT}`,
      "c before",
      "view",
      `b after ${POINT}`,
      `a after ${POINT}`,
    ];
    expect(await hooks.noted()).toEqual(notes);
    expect(JSON.parse(view)).toMatchObject({ pointId: POINT, names: ["10-a", "20-b", "30-c"] });
    expect(existsSync(hooks.pendingFile)).toBe(false);
    expect(PointHooks.parse(report)).toEqual(report);
    expect(report.scripts.map(({ hook, phase, outcome }) => `${hook} ${phase} ${outcome}`)).toEqual([
      "10-a before succeeded",
      "20-b before succeeded",
      "30-c before succeeded",
      "20-b after succeeded",
      "10-a after succeeded",
    ]);
    expect(shortfallOf(report)).toBeUndefined();
  });

  test("that fail before the view do not prevent it, and the report says which, with its last line", async () => {
    await hooks.add("a", {
      before: "echo waiting; echo ERROR 1205: no lock >&2; exit 1",
      after: "note a after",
    });
    await hooks.add("b", { before: "note b before", after: "note b after" });
    const { hooks: report } = await withHooks(hooks.deps, POINT, openView);
    expect(await hooks.noted()).toEqual(["b before", "view", "b after", "a after"]);
    expect(shortfallOf(report)).toBe(
      "the hook a did not succeed before the freeze: it ended with status 1: ERROR 1205: no lock",
    );
  });

  test("that fail after the view take back what their before said", async () => {
    await hooks.add("a", { before: "echo locked", after: "echo the lock was lost >&2; exit 1" });
    const { hooks: report } = await withHooks(hooks.deps, POINT, openView);
    expect(shortfallOf(report)).toBe(
      "the hook a did not succeed after the thaw: it ended with status 1: the lock was lost",
    );
    expect(existsSync(hooks.pendingFile)).toBe(false);
  });

  test("that take too long are ended, and their after runs", async () => {
    await hooks.add("a", { before: "exec sleep 600", after: "note a after", limitSeconds: 1 });
    const { hooks: report } = await withHooks(hooks.deps, POINT, openView);
    expect(await hooks.noted()).toEqual(["view", "a after"]);
    expect(report.scripts[0]).toMatchObject({
      outcome: "timed-out",
      reason: "it did not end within 1 seconds",
    });
  });

  test("run after a view that fails, and its error is the caller's", async () => {
    await hooks.add("a", { before: "note a before", after: "note a after" });
    const failing = withHooks(hooks.deps, POINT, () => Promise.reject(new Error("the disk is gone")));
    await expect(failing).rejects.toThrow("the disk is gone");
    expect(await hooks.noted()).toEqual(["a before", "a after"]);
    expect(existsSync(hooks.pendingFile)).toBe(false);
  });

  test("are ended when the agent is stopped, no view is opened, and what was started is undone", async () => {
    const stop = new AbortController();
    await hooks.add("a", { before: "note a before", after: "note a after" });
    await hooks.add("b", { before: "note b before; exec sleep 600", after: "note b after" });
    await hooks.add("c", { before: "note c before", after: "note c after" });
    const running = withHooks(hooks.deps, POINT, openView, stop.signal);
    const stopped = expect(running).rejects.toThrow("stopped by the operator");
    while (!(await hooks.noted()).includes("b before")) await wait(20);
    stop.abort(new Error("stopped by the operator"));
    await stopped;
    expect(await hooks.noted()).toEqual(["a before", "b before", "b after", "a after"]);
  });

  test("leave a program in the background, which runs until after the view", async () => {
    const mark = join(hooks.root, "released");
    const session = `(until [ -e ${mark} ]; do echo tick; sleep 0.1; done; note session ends) &`;
    await hooks.add("a", { before: session, after: `note a after; : > ${mark}` });
    const { hooks: report } = await withHooks(hooks.deps, POINT, openView);
    expect(shortfallOf(report)).toBeUndefined();
    while (!(await hooks.noted()).includes("session ends")) await wait(20);
    expect(await hooks.noted()).toEqual(["view", "a after", "session ends"]);
  });

  test("write nothing to the log before the view was opened, and then what can be printed", async () => {
    await hooks.add("a", { before: "printf '\\033[31mred\\033[0m\\n\\007'; echo bad >&2; exit 1" });
    const { view } = await withHooks(hooks.deps, POINT, async () => hooks.logged.length);
    expect(view).toBe(0);
    expect(hooks.logged).toEqual([
      {
        level: "warn",
        message: "hook ended",
        fields: expect.objectContaining({
          pointId: POINT,
          hook: "a",
          phase: "before",
          stdout: "red\n�",
          stderr: "bad\n",
        }),
      },
    ]);
  });

  test("that another user could change are all refused, and the view is opened", async () => {
    const folder = await hooks.add("a", { before: "note a before" });
    await hooks.add("b", { before: "note b before" });
    await chmod(join(folder, "before"), 0o777);
    const { hooks: report } = await withHooks(hooks.deps, POINT, openView);
    expect(await hooks.noted()).toEqual(["view"]);
    expect(shortfallOf(report)).toBe(
      `no hook was run: ${folder}/before is not used: users other than root may write to it`,
    );
  });

  test("are not started if the agent could not undo them after it was killed", async () => {
    await hooks.add("a", { before: "note a before" });
    await mkdir(`${hooks.pendingFile}.new`);
    const { hooks: report } = await withHooks(hooks.deps, POINT, openView);
    expect(await hooks.noted()).toEqual(["view"]);
    expect(report.scripts).toMatchObject(
      [{ hook: "a", phase: "before", outcome: "not-run", reason: /EISDIR/ }].map((script) => ({
        ...script,
        reason: expect.stringMatching(script.reason),
      })),
    );
  });
});

/** An agent whose view takes ten minutes to open; the test kills it. */
const AGENT = `
import { withHooks } from ${JSON.stringify(new URL("./hooks.ts", import.meta.url).href)};
import { PendingHooks } from ${JSON.stringify(new URL("./pending-hooks.ts", import.meta.url).href)};
const [folder, dataDir, pointId] = process.argv.slice(-3);
const log = { info() {}, warn() {}, error() {} };
const view = () => { console.log("frozen"); return new Promise((resolve) => setTimeout(resolve, 600_000)); };
await withHooks({ folder, pending: new PendingHooks(dataDir), log }, pointId, view);`;

async function killAgent(when: (output: string) => Promise<boolean>): Promise<void> {
  const { folder } = hooks.deps;
  const agent = spawn(
    process.execPath,
    ["--input-type=module", "--eval", AGENT, "--", folder, join(hooks.root, "agent"), POINT],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let output = "";
  agent.stdout.on("data", (chunk: Buffer) => (output += chunk));
  const exited = once(agent, "exit");
  while (!(await when(output))) await wait(20);
  agent.kill("SIGKILL");
  await exited;
}

const StartedScript = z.object({ process: z.string() });

describe.skipIf(!isRoot)("an agent that was killed", () => {
  test("between before and after runs the after scripts when it starts again, once", async () => {
    await hooks.add("a", { before: "note a before", after: "note a after $CAUSEWAY_POINT_ID" });
    await hooks.add("b", { before: "note b before", after: "note b after $CAUSEWAY_POINT_ID" });
    await killAgent(async (output) => output.includes("frozen"));
    expect(await hooks.noted()).toEqual(["a before", "b before"]);
    for (const _ of "12") expect(await runPendingHooks(hooks.deps)).toBeUndefined();
    expect(await hooks.noted()).toEqual(["a before", "b before", `b after ${POINT}`, `a after ${POINT}`]);
    expect(existsSync(hooks.pendingFile)).toBe(false);
  });

  test("while a before runs ends it, and runs its after, and not that of hooks which were not started", async () => {
    const first = join(hooks.root, "first");
    const before = `note a before; [ -e ${first} ] || { : > ${first}; sleep 600; note a before ends late; }`;
    await hooks.add("a", { before, after: "note a after" });
    await hooks.add("b", { before: "note b before", after: "note b after" });
    await killAgent(
      async () => existsSync(first) && /"process"/.test(await readFile(hooks.pendingFile, "utf8")),
    );
    const { process } = StartedScript.parse(JSON.parse(await readFile(hooks.pendingFile, "utf8")));
    expect(findProcess(process)).toBeGreaterThan(1);
    const { hooks: report } = await withHooks(hooks.deps, POINT, openView);
    expect(await hooks.noted()).toEqual([
      ...["a before", "a after"],
      ...["a before", "b before", "view", "b after", "a after"],
    ]);
    expect(findProcess(process)).toBeUndefined();
    expect(shortfallOf(report)).toBeUndefined();
  });

  test("ends no process that got the number of its script since", async () => {
    const other = spawn("sleep", ["600"], { stdio: "ignore", detached: true });
    const identity = processIdentity(other.pid ?? 0) ?? "";
    const process = identity.replace(/\d+$/, "1");
    await hooks.deps.pending.write({ pointId: POINT, names: ["a"], process });
    expect(await runPendingHooks(hooks.deps)).toBeUndefined();
    expect(findProcess(identity)).toBe(other.pid);
    other.kill("SIGKILL");
  });

  test("does not run an after that another user could have changed since, and keeps it pending", async () => {
    const folder = await hooks.add("a", { before: ":", after: "note a after" });
    await hooks.deps.pending.write({ pointId: POINT, names: ["a"] });
    await chmod(folder, 0o777);
    const why = `${folder} is not used: users other than root may write to it`;
    expect(await runPendingHooks(hooks.deps)).toBe(
      `the hook a is still pending from an earlier point: ${why}`,
    );
    const { hooks: report } = await withHooks(hooks.deps, POINT, openView);
    expect(report.refused).toContain("the hook a is still pending");
    await chmod(folder, 0o755);
    expect(await runPendingHooks(hooks.deps)).toBeUndefined();
    expect(await hooks.noted()).toEqual(["view", "a after"]);
  });

  test("forgets hooks that were removed since", async () => {
    await hooks.deps.pending.write({ pointId: POINT, names: ["a"] });
    expect(await runPendingHooks(hooks.deps)).toBeUndefined();
    await hooks.deps.pending.write({ pointId: POINT, names: ["a"] });
    await rm(hooks.deps.folder, { recursive: true });
    expect(await runPendingHooks(hooks.deps)).toBeUndefined();
    expect(existsSync(hooks.pendingFile)).toBe(false);
  });

  test("runs every after if its note is damaged, because it cannot know which are pending", async () => {
    await hooks.add("a", { before: ":", after: "note a after $CAUSEWAY_POINT_ID" });
    for (const damaged of ["", "{", `{"pointId":"${POINT}","names":["../../etc"]}`]) {
      await writeFile(hooks.pendingFile, damaged);
      expect(await runPendingHooks(hooks.deps)).toBeUndefined();
      expect(existsSync(hooks.pendingFile)).toBe(false);
    }
    expect(await hooks.noted()).toEqual(Array(3).fill("a after unknown"));
  });
});
