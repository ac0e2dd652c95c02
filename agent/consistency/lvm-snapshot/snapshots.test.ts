import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { KeptSnapshots } from "./kept-snapshots.ts";
import { type Origin, Snapshots } from "./snapshots.ts";
import { FakeLvm, type FakeLvmOptions, GROUP } from "./testing/fake-lvm.ts";

const folder = await mkdtemp(join(tmpdir(), "lvm-snapshots-"));
afterAll(() => rm(folder, { recursive: true }));
let count = 0;

const originOf = (name: string): Origin => ({
  ...{ group: GROUP.name, groupUuid: GROUP.uuid, name, uuid: `uuid-${name}`, snapshotBytes: 2 ** 28 },
  marksItself: name.startsWith("ext4"),
});

function machine(names: readonly string[], options?: FakeLvmOptions) {
  const lvm = new FakeLvm(names, options);
  const dataDir = join(folder, `agent-${count++}`);
  let clock = 0;
  const start = () =>
    new Snapshots({
      ...{ lvm, kept: new KeptSnapshots(dataDir), now: () => clock++, pausesMs: [0, 0] },
      ...{ newId: () => `id${count++}`, flush: () => lvm.flush() },
    });
  return { lvm, dataDir, start, origins: names.map(originOf) };
}

const sharedBy = async (names: string[], busy: string[], marking: string[] = []): Promise<string[]> => {
  const { start, origins } = machine(names, { busy, marking });
  const { instant } = await start().take(origins);
  return [...instant.shared].sort();
};

test("volumes that nothing writes to share the instant of the last snapshot", async () => {
  expect(await sharedBy(["home", "root"], [])).toEqual(["uuid-home", "uuid-root"]);
});

test("a file system that only marks itself as in use when it is thawed has not changed, other content has", async () => {
  const names = ["ext4-home", "database", "ext4-root"];
  expect(await sharedBy(names, [], ["ext4-home", "ext4-root"])).toHaveLength(3);
  const { start, origins, lvm } = machine(names, { marking: ["ext4-home", "database"] });
  await start().take(origins);
  // Its first bytes may be data, so its snapshot is made again.
  expect(lvm.changes.filter((change) => change === "create database")).toHaveLength(2);
  expect(lvm.changes.filter((change) => change === "create ext4-home")).toHaveLength(1);
});

test("what a program wrote to a volume after its snapshot counts, also if it only waits in memory", async () => {
  let isWritten = false;
  const { start, origins, lvm } = machine(["a", "b"], {
    onStep: (step) => {
      if (step === "created a" && !isWritten) {
        isWritten = true;
        lvm.unwritten.add("a");
      }
    },
  });
  const { instant } = await start().take(origins);
  expect(lvm.changes.filter((change) => change === "create a")).toHaveLength(2);
  expect([...instant.shared].sort()).toEqual(["uuid-a", "uuid-b"]);
});

test("volumes to which programs write in memory all the time do not share an instant", async () => {
  const { start, origins, lvm } = machine(["a", "b"], {
    onStep: (step) => {
      if (step.startsWith("created")) for (const name of ["a", "b"]) lvm.unwritten.add(name);
    },
  });
  const { instant } = await start().take(origins);
  expect(instant.shared.size).toBe(1);
});

test("if what waits in memory cannot be written out, only the last volume has the instant", async () => {
  const { start, origins, lvm } = machine(["a", "b", "c"]);
  lvm.isFlushing = false;
  const { instant } = await start().take(origins);
  expect([...instant.shared]).toEqual(["uuid-c"]);
  expect(lvm.changes.filter((change) => change.startsWith("create "))).toHaveLength(3);
});

test("one busy volume still shares the instant, since its snapshot is made again as the last", async () => {
  expect(await sharedBy(["root", "home", "srv"], ["root"])).toEqual(["uuid-home", "uuid-root", "uuid-srv"]);
});

test("of two busy volumes, only one shares the instant with the quiet ones", async () => {
  const shared = await sharedBy(["a", "b", "c"], ["a", "b"]);
  expect(shared).toHaveLength(2);
  expect(shared).toContain("uuid-c");
});

test("the instant is when the last snapshot was made, and all of LVM's work counts as waiting", async () => {
  const { start, origins } = machine(["a", "b"]);
  const { instant, tookMs } = await start().take(origins);
  expect(instant.untilMs).toBeGreaterThan(instant.fromMs);
  expect(tookMs).toBeGreaterThan(instant.untilMs - instant.fromMs);
});

test("a snapshot that LVM refuses leaves none of the others", async () => {
  const { lvm, start, origins } = machine(["a", "b"]);
  lvm.refuseOrigin = "b";
  await expect(start().take(origins)).rejects.toMatchObject({ name: "LvmFailedError" });
  expect(lvm.snapshots.size).toBe(0);
});

test("a snapshot that is in use for a moment is removed all the same", async () => {
  const { lvm, start, origins } = machine(["a"]);
  const snapshots = start();
  const { snapshots: made } = await snapshots.take(origins);
  lvm.openTimes.set(made[0]?.name ?? "", 2);
  await snapshots.release(made);
  expect(lvm.snapshots.size).toBe(0);
});

test("a snapshot that stays in use is named as a failure, and removed at the next start", async () => {
  const { lvm, start, origins } = machine(["a", "b"]);
  const snapshots = start();
  const { snapshots: made } = await snapshots.take(origins);
  lvm.openTimes.set(made[0]?.name ?? "", 3);
  await expect(snapshots.release(made)).rejects.toMatchObject({ name: "LvmFailedError" });
  expect([...lvm.snapshots.keys()]).toEqual([made[0]?.name]);
  await start().removeLeftovers();
  expect(lvm.snapshots.size).toBe(0);
});

test("wherever the agent is killed, its next start removes its snapshots and nothing else", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(14), fc.nat(14), async (firstKill, secondKill) => {
      let steps = firstKill;
      const onStep = () => {
        if (steps-- === 0) throw new Error("killed");
      };
      const { lvm, start, origins } = machine(["a", "b", "c"], { busy: ["a", "b"], onStep });
      lvm.addSnapshot("a", "of-an-administrator", []);
      lvm.addSnapshot("a", "causeway_of-another-agent");
      const first = start();
      await first
        .take(origins)
        .then(({ snapshots }) => first.release(snapshots))
        .catch(() => undefined);
      steps = secondKill;
      await start()
        .removeLeftovers()
        .catch(() => undefined);
      steps = Number.POSITIVE_INFINITY;
      await start().removeLeftovers();
      expect([...lvm.snapshots.keys()]).toEqual(["of-an-administrator", "causeway_of-another-agent"]);
      expect(lvm.volumes.map(({ name }) => name)).toContain("a");
    }),
    { numRuns: 25 },
  );
});

test("snapshots of an open view are no leftovers", async () => {
  const { lvm, start, origins } = machine(["a", "b"]);
  const snapshots = start();
  await snapshots.take(origins);
  await snapshots.removeLeftovers();
  expect(lvm.snapshots.size).toBe(2);
});

test("a snapshot that LVM is late with is removed at the next start", async () => {
  const { lvm, dataDir, start, origins } = machine(["a"]);
  lvm.stuckOrigin = "a";
  await expect(start().take(origins)).rejects.toMatchObject({ details: { code: "stuck" } });
  const [late] = await new KeptSnapshots(dataDir).all();
  lvm.addSnapshot("a", late?.name ?? "");
  await start().removeLeftovers();
  expect(lvm.snapshots.size).toBe(0);
});

test("a snapshot that LVM is late with is left alone until LVM has ended, and removed then", async () => {
  const { lvm, dataDir, start, origins } = machine(["a"]);
  const snapshots = start();
  lvm.stuckOrigin = "a";
  await expect(snapshots.take(origins)).rejects.toMatchObject({ details: { code: "stuck" } });
  const [late] = await new KeptSnapshots(dataDir).all();
  await snapshots.removeLeftovers();
  expect(await new KeptSnapshots(dataDir).all()).toHaveLength(1);
  lvm.addSnapshot("a", late?.name ?? "");
  lvm.stuckEnd.resolve();
  await lvm.stuckEnd.promise;
  await snapshots.removeLeftovers();
  expect(lvm.snapshots.size).toBe(0);
  expect(await new KeptSnapshots(dataDir).all()).toHaveLength(0);
});

test("while LVM is stuck in the removal of a snapshot, no second program is started for it", async () => {
  const { lvm, start, origins } = machine(["a"]);
  const snapshots = start();
  const { snapshots: made } = await snapshots.take(origins);
  lvm.stuckSnapshot = made[0]?.name;
  await expect(snapshots.release(made)).rejects.toMatchObject({ details: { code: "stuck" } });
  await snapshots.removeLeftovers();
  expect(lvm.changes.filter((change) => change.startsWith("remove "))).toHaveLength(1);
  lvm.stuckSnapshot = undefined;
  lvm.stuckEnd.resolve();
  await lvm.stuckEnd.promise;
  await snapshots.removeLeftovers();
  expect(lvm.snapshots.size).toBe(0);
});

test("what an administrator made of a snapshot stays", async () => {
  const { lvm, start, origins } = machine(["a"]);
  const { snapshots: made } = await start().take(origins);
  const at = lvm.volumes.findIndex(({ name }) => name === made[0]?.name);
  const volume = lvm.volumes[at];
  if (volume) lvm.volumes[at] = { ...volume, tags: [] };
  await start().removeLeftovers();
  expect(lvm.volumes.map(({ name }) => name)).toContain(made[0]?.name);
});

test("if LVM does not answer, the snapshots stay noted", async () => {
  const { lvm, dataDir, start, origins } = machine(["a"]);
  await start().take(origins);
  lvm.isAnswering = false;
  await expect(start().removeLeftovers()).rejects.toMatchObject({ details: { code: "no-answer" } });
  expect(await new KeptSnapshots(dataDir).all()).toHaveLength(1);
});

test("a snapshot that filled up is found before its bytes are trusted", async () => {
  const { lvm, start, origins } = machine(["a", "b"]);
  const snapshots = start();
  const { snapshots: made } = await snapshots.take(origins);
  await snapshots.requireWhole(made);
  lvm.lost.add(made[1]?.name ?? "");
  await expect(snapshots.requireWhole(made)).rejects.toMatchObject({
    name: "SnapshotLostError",
    message: expect.stringContaining("vg0/b"),
  });
});
