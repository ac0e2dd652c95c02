/** Recovery points of a mounted file system between real hooks, on a loop device. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { beforeEach, describe, expect, test } from "vitest";
import { shortfallOf } from "#shared/domain/hook-shortfall.ts";
import { PointHooks } from "#shared/protocol/point-hooks.ts";
import { tool } from "../../filesystems/testing/test-image.ts";
import { runPendingHooks } from "../../hooks/hooks.ts";
import { HooksOfTest, POINT } from "../../hooks/testing/hooks-of-test.ts";
import { readPoint } from "../../repository/points.ts";
import { FAULTY_PROGRAM, whyUntestable } from "../../tracking/testing/tracked-disk.ts";
import { LiveMachine, type LiveMachineOptions } from "../testing/live-machine.ts";

const reason = whyUntestable();
let hooks: HooksOfTest;

beforeEach(async () => {
  hooks = await HooksOfTest.create();
  return () => hooks[Symbol.asyncDispose]();
});

const start = (more: LiveMachineOptions = {}) =>
  LiveMachine.start({ sizeMiB: 32, hooks: hooks.deps, ...more });

describe.skipIf(reason !== undefined)(`a disk in use and hooks ${reason ? `(${reason})` : ""}`, () => {
  test("what a hook makes programs write is in the point, which is application consistent", async () => {
    await using machine = await start({ freeze: { ms: 60_000, bytes: 2 ** 20, pausesMs: [] } });
    const file = `${machine.disk.mountPoint}/checkpoint`;
    // More than one frozen read may have: a pass after the hook reads it.
    const before = `note before; head -c 8000000 /dev/urandom > ${file}; sync -f ${file}`;
    await hooks.add("a", {
      before,
      after: `note after; fsfreeze --freeze ${machine.disk.mountPoint} && fsfreeze --unfreeze ${machine.disk.mountPoint} && note thawed`,
    });
    for (const pointId of ["rp_1", "rp_2"]) {
      const taken = await machine.take(pointId);
      expect(taken.disks).toMatchObject([{ consistency: "application", viewReason: "it is in use" }]);
      expect(PointHooks.parse(taken.hooks)).toMatchObject({
        scripts: ["before", "after"].map((phase) => ({ hook: "a", phase, outcome: "succeeded" })),
      });
      const restored = await machine.restored(pointId);
      expect(restored.equals(await machine.frozen())).toBe(true);
      expect(await machine.faultsOf(restored)).toBe("");
    }
    const { disks } = await readPoint(await machine.deps.repository(), "rp_2");
    expect(disks[0]?.volumes).toEqual([{ name: "disk", consistency: "application" }]);
    // One freeze for each point.
    expect(await hooks.noted()).toEqual([1, 2].flatMap(() => ["before", "after", "thawed"]));
  }, 120_000);

  test("a hook that fails, or takes too long, leaves a file-system consistent point that says so", async () => {
    await using machine = await start();
    await hooks.add("a", { before: "echo no connection >&2; exit 3", after: "note a after" });
    await hooks.add("b", { before: "exec sleep 600", after: "note b after", limitSeconds: 1 });
    const taken = await machine.take("rp_1");
    expect(taken.disks).toMatchObject([{ consistency: "file-system" }]);
    expect(taken.hooks?.scripts.map(({ hook, phase, outcome }) => `${hook} ${phase} ${outcome}`)).toEqual([
      ...["a before failed", "b before timed-out", "b after succeeded", "a after succeeded"],
    ]);
    expect(taken.hooks && shortfallOf(taken.hooks)).toContain("it ended with status 3: no connection");
    expect((await machine.restored("rp_1")).equals(await machine.frozen())).toBe(true);
  });

  test("a point whose freezes all fail has the hooks of each ended, and says what the last ones did", async () => {
    await using machine = await start({ freeze: { ms: 60_000, bytes: 1, pausesMs: [0, 0] } });
    await hooks.add("a", { before: "note before", after: "note after" });
    const taken = await machine.take("rp_1");
    expect(taken.disks).toMatchObject([{ consistency: "not" }]);
    expect(taken.hooks?.scripts).toHaveLength(2);
    expect(await hooks.noted()).toEqual([1, 2, 3].flatMap(() => ["before", "after"]));
  });

  test("a run that is cancelled while a hook runs ends it, makes no point, and undoes it", async () => {
    await using machine = await start();
    await hooks.add("a", { before: "note before; exec sleep 600", after: "note after" });
    const stop = new AbortController();
    const failing = expect(machine.take("rp_1", { signal: stop.signal })).rejects.toThrow("cancelled");
    while (!(await hooks.noted()).includes("before")) await wait(20);
    stop.abort(new Error("cancelled by the operator"));
    await failing;
    expect(await hooks.noted()).toEqual(["before", "after"]);
    await expect(readPoint(await machine.deps.repository(), "rp_1")).rejects.toThrow();
  });

  test("a run that is cancelled in the pause before a further freeze ends at once", async () => {
    await using machine = await start({ freeze: { ms: 60_000, bytes: 1, pausesMs: [600_000] } });
    await hooks.add("a", { before: "note before", after: "note after" });
    const stop = new AbortController();
    const failing = expect(machine.take("rp_1", { signal: stop.signal })).rejects.toThrow("aborted");
    while (!(await hooks.noted()).includes("after")) await wait(20);
    // The freeze is over: what follows is the pause.
    await wait(500);
    stop.abort(new Error("cancelled by the operator"));
    await failing;
    expect(await hooks.noted()).toEqual(["before", "after"]);
  }, 60_000);

  test("an agent that is killed during the freeze undoes the hooks when it starts again, and is thawed", async () => {
    await using machine = await start();
    await hooks.add("a", { before: "note before", after: "note after" });
    await killAgentWhileFrozen(machine);
    expect(await hooks.noted()).toEqual(["before"]);
    expect(await runPendingHooks(hooks.deps)).toBeUndefined();
    expect(await hooks.noted()).toEqual(["before", "after"]);
    tool("timeout", "20", "touch", `${machine.disk.mountPoint}/thawed`);
    const taken = await machine.take("rp_1");
    expect(taken.disks).toMatchObject([{ consistency: "application" }]);
    expect((await machine.restored("rp_1")).equals(await machine.frozen())).toBe(true);
  }, 120_000);
});

const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
/** An agent that takes a point. */
const AGENT = `
import { PendingHooks } from ${url("../../hooks/pending-hooks.ts")};
import { TrackerHelper } from ${url("../../tracking/helper.ts")};
import { preCopyView } from ${url("./pre-copy.ts")};
const [program, pinFolder, path, dataDir, hooksFolder, pending] = process.argv.slice(-6);
const log = { info() {}, warn() {}, error() {} };
const view = await preCopyView({
  tracker: new TrackerHelper(program, { pinFolder }),
  hooks: { folder: hooksFolder, pending: new PendingHooks(pending), log },
  ...{ dataDir, bootId: "b", now: Date.now, freeze: { ms: 10_000, bytes: 2 ** 25, pausesMs: [] } },
}).open([{ name: "sda", path, isStill: false }], {
  ...{ pointId: ${JSON.stringify(POINT)}, allBlocks: false, allowInconsistent: false, parents: new Map() },
});
const { signal } = new AbortController();
await view.settle({ first: new Map(), readAgain: async () => {}, signal });`;

/** Its frozen read takes two seconds. */
async function killAgentWhileFrozen(machine: LiveMachine): Promise<void> {
  const frozen = join(hooks.root, "frozen");
  const program = join(hooks.root, "slow-tracker");
  const witness = `--witness 'touch ${frozen}; sleep 2'`;
  const text = `#!/bin/sh\n[ $1 != freeze-read ] || exec ${FAULTY_PROGRAM} "$@" ${witness}\nexec ${FAULTY_PROGRAM} "$@"\n`;
  await writeFile(program, text, { mode: 0o755 });
  const { pinFolder, device } = machine.disk;
  const own = [join(hooks.root, "killed"), hooks.deps.folder, join(hooks.root, "agent")];
  const agent = spawn(
    process.execPath,
    ["--input-type=module", "--eval", AGENT, "--", program, pinFolder, device, ...own],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
  const exited = once(agent, "exit");
  while (!existsSync(frozen) && agent.exitCode === null) await wait(20);
  agent.kill("SIGKILL");
  expect(await exited).toEqual([null, "SIGKILL"]);
}
