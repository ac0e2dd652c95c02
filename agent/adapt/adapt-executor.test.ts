import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { CommandInput } from "#shared/protocol/commands.ts";
import type { WantedMachine } from "#shared/protocol/wanted-machine.ts";
import type { AgentRecords } from "../commands/agent-records.ts";
import { MachineRecord } from "../commands/machine.ts";
import { executionContext } from "../commands/testing/execution-context.ts";
import { writtenImage } from "../commands/testing/written-image.ts";
import { type AdaptDeps, adaptExecutor, forgetAdaptation } from "./adapt-executor.ts";
import { AdaptationRecord } from "./adaptation-record.ts";
import { aWantedMachine } from "./testing/a-system.ts";

const DIFF = "-a\n+b";
let dir: string;
/** What the guests did, in order. */
let done: string[];
/** What an apply finds changed on the disks, once. */
let stale: string[];
let power: "on" | "off";

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "causeway-adapt-"));
  done = [];
  stale = [];
  power = "off";
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function recordFor(wanted: WantedMachine): AdaptationRecord {
  return {
    ...{ disks: [{ name: "sda" }], wanted, inputs: {}, commands: [], notes: ["look"] },
    changes: [{ path: "/etc/fstab", mode: 0o644, why: ["names"], diff: DIFF }],
  };
}

async function world(changes: Partial<AdaptDeps> = {}) {
  const { images, disk, recordsIn } = await writtenImage(dir, "disk");
  const deps: AdaptDeps = {
    ...{ bootImageDir: "/boot-image", images, contentsDir: join(dir, "contents"), now: () => 0 },
    records: recordsIn("adaptations", AdaptationRecord),
    diskKeys: async () => [],
    machines: {
      records: recordsIn("machines", MachineRecord),
      keepers: { libvirt: { power: async () => power }, qemu: { power: async () => power } },
    },
    clone: {
      compute: async (_, wanted) => {
        done.push("compute");
        return recordFor(wanted);
      },
      apply: async ({ disks, keys = [] }, { wanted }) => {
        for (const { uuid, key } of keys) done.push(`key ${key} for ${uuid}`);
        done.push(`apply for ${wanted.diskBus} to ${disks[0]?.name} with serial ${disks[0]?.serial}`);
        return { stale: stale.splice(0) };
      },
    },
    ...changes,
  };
  const input: CommandInput<"adapt-machine"> = {
    ...{ ownerId: "cnv_1", sourceId: "agt_1", pointId: "rp_1", disks: [disk] },
    ...{ sourceDisks: [{ name: "sda", serial: "S1" }], wanted: aWantedMachine(), dryRun: false },
  };
  const adapt = (parts: Partial<CommandInput<"adapt-machine">> = {}) =>
    adaptExecutor(deps)["adapt-machine"]({ ...input, ...parts }, executionContext());
  return { adapt, deps };
}

const APPLY = "apply for virtio to sda with serial S1";

test("the guests get the keys that this host has for the source", async () => {
  const diskKeys = async (sourceId: string) => [{ uuid: "u", key: Buffer.from(`of ${sourceId}`) }];
  const { adapt } = await world({ diskKeys });
  await adapt();
  expect(done).toEqual(["compute", "key of agt_1 for u", APPLY]);
});

test("a dry run computes and shows the changes, and what it computed is applied later without computing it again", async () => {
  const { adapt } = await world();
  expect(await adapt({ dryRun: true })).toMatchObject({
    ...{ isApplied: false, notes: ["look"], stale: [] },
    changes: [{ path: "/etc/fstab", why: ["names"], diff: DIFF }],
  });
  expect(await adapt()).toMatchObject({ isApplied: true, changes: [{ diff: DIFF }] });
  expect(done).toEqual(["compute", APPLY]);
});

test("if the disks are not as they were, the changes are computed again, and the answer says why", async () => {
  const { adapt } = await world();
  await adapt({ dryRun: true });
  stale = ["/etc/fstab"];
  expect(await adapt()).toMatchObject({ isApplied: true, stale: ["/etc/fstab"] });
  expect(done).toEqual(["compute", APPLY, "compute", APPLY]);
});

test("what was computed for another machine is not applied", async () => {
  const { adapt } = await world();
  await adapt({ dryRun: true });
  await adapt({ wanted: aWantedMachine({ diskBus: "sata" }) });
  expect(done).toEqual(["compute", "compute", APPLY.replace("virtio", "sata")]);
});

test.each([{ machineId: "new" }, { hostKeys: "new" }] as const)(
  "what was computed for a system that keeps its identity is not applied to one that gets %j",
  async (identity) => {
    const { adapt } = await world();
    await adapt({ dryRun: true });
    await adapt({ wanted: aWantedMachine(identity) });
    expect(done).toEqual(["compute", "compute", APPLY]);
  },
);

test("the system of a machine that is on is not adapted", async () => {
  const { adapt, deps } = await world();
  const machine = {
    ...{ ownerId: "cnv_1", agentId: "agt_2", hypervisor: "libvirt" as const, name: "web1", title: "web1" },
    ...{ uuid: "0b2f5c0a-7d61-8c3e-8f00-1a2b3c4d5e6f", folder: dir, bootDisk: "sda" },
    disks: [{ name: "sda", path: join(dir, "images/cnv_1/sda.raw"), format: "raw" as const }],
    ...{ bootReason: "it is the only disk" },
    shape: {
      ...{ cpuCount: 1, memoryMiB: 64, firmware: "bios" as const, diskBus: "sata" as const, cards: [] },
      ...{ cardModel: "e1000" as const, clock: "utc" as const, acceleration: "software" as const },
    },
  };
  await (deps.machines.records as AgentRecords<MachineRecord>).write("cnv_1", { machine });
  power = "on";
  await expect(adapt()).rejects.toMatchObject({ name: "MachineRunningError" });
  power = "off";
  await adapt();
  expect(done).toEqual(["compute", APPLY]);
});

test("without a boot image, and for images that this agent did not write, nothing is started", async () => {
  const { adapt } = await world({ bootImageDir: undefined });
  await expect(adapt()).rejects.toMatchObject({
    name: "NoBootImageError",
    hint: expect.stringContaining("--boot-image"),
  });
  const { adapt: adaptOthers } = await world();
  await expect(adaptOthers({ pointId: "rp_2" })).rejects.toMatchObject({ name: "ImagesNotOursError" });
  expect(done).toEqual([]);
});

test("what was computed for removed images is forgotten", async () => {
  const { adapt, deps } = await world();
  await adapt({ dryRun: true });
  await forgetAdaptation(deps, "cnv_1");
  await adapt();
  expect(done).toEqual(["compute", "compute", APPLY]);
});
