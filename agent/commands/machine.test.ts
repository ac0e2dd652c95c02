import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { IsolatedCheckUnavailableError, LeaseEndedError } from "#shared/errors.ts";
import type { CommandInput } from "#shared/protocol/commands.ts";
import { Libvirt } from "../hypervisor/libvirt/libvirt.ts";
import { QemuService } from "../hypervisor/qemu/service/qemu-service.ts";
import { MemoryLibvirt } from "../hypervisor/testing/memory-libvirt.ts";
import { printingDisk } from "../hypervisor/testing/tiny-guest.ts";
import { MachineRecord, machineExecutors } from "./machine.ts";
import { executionContext } from "./testing/execution-context.ts";
import { noLeases } from "./testing/no-leases.ts";
import { writtenImage } from "./testing/written-image.ts";

const context = executionContext();
const disk = { name: "sda", sizeBytes: 2 ** 20 };
const PLAIN_SHAPE: CommandInput<"define-machine">["shape"] = {
  ...{ cpuCount: 1, memoryMiB: 64, firmware: "bios", diskBus: "sata", cardModel: "e1000", clock: "utc" },
  ...{ acceleration: "software", cards: [] },
};
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "causeway-machine-"));
  // Where libvirt is installed, its user must reach the images.
  chmodSync(dir, 0o711);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A target host that has written one bootable disk for `cnv_1`. */
async function world({ askerProblem }: { askerProblem?: string } = {}) {
  const { images, disk, recordsIn } = await writtenImage(dir, printingDisk("x"));
  const records = recordsIn("machines", MachineRecord);
  const virsh = new MemoryLibvirt();
  const libvirt = new Libvirt(virsh);
  const qemu = new QemuService({
    ...{ scriptsDir: join(dir, "scripts"), unitsDir: dir, runtimeDir: dir },
    systemctl: async (action) => (action === "show" ? "inactive\n" : ""),
  });
  const leases = noLeases();
  const executors = machineExecutors({
    keepers: { libvirt, qemu },
    records,
    images,
    ...{ agentId: "agt_2", leases },
    requireAsker: async () => {
      if (askerProblem) throw new IsolatedCheckUnavailableError("this target host", askerProblem);
    },
  });
  const input: CommandInput<"define-machine"> = {
    ...{ ownerId: "cnv_1", sourceId: "agt_1", pointId: "rp_1", disks: [disk] },
    ...{ hypervisor: "libvirt", name: "web1", title: "web1", systemDisks: [], dryRun: false },
    shape: PLAIN_SHAPE,
  };
  return {
    virsh,
    images,
    records,
    leases,
    define: (changes: Partial<CommandInput<"define-machine">> = {}) =>
      executors["define-machine"]({ ...input, ...changes }, context),
    power: (power: "on" | "off") =>
      executors["power-machine"]({ ownerId: "cnv_1", power, atOnce: true }, context),
    connect: () => executors["connect-machine"]({ ownerId: "cnv_1" }, context),
    remove: (disks: boolean) => executors["remove-machine"]({ ownerId: "cnv_1", disks }, context),
  };
}

const defined = (virsh: MemoryLibvirt) => virsh.items[""].map(({ name }) => name);

test("a dry run shows the documents and defines nothing", async () => {
  const { virsh, records, define } = await world();
  const { machine, definitions } = await define({ dryRun: true });
  expect(machine).toMatchObject({ name: "web1", bootDisk: "sda", bootReason: "it is the only disk" });
  expect(definitions?.map(({ name }) => name)).toEqual(["pool", "domain"]);
  expect(defined(virsh)).toEqual([]);
  expect(await records.read("cnv_1")).toBeUndefined();
});

test("whenever the agent is killed, what it has begun is recorded, and is finished or removed later", async () => {
  for (let failAt = 1; ; failAt++) {
    const { virsh, images, records, define, remove } = await world();
    virsh.failAt = failAt;
    const isInterrupted = await define().then(
      () => false,
      () => true,
    );
    virsh.failAt = Number.POSITIVE_INFINITY;
    const begun = Object.values(virsh.items).flat();
    if (begun.length > 0) expect(await records.read("cnv_1")).toMatchObject({ machine: { name: "web1" } });
    if (failAt % 2 === 0) await define();
    await remove(false);
    expect(Object.values(virsh.items).flat()).toEqual([]);
    expect(await records.read("cnv_1")).toBeUndefined();
    await images.remove("cnv_1");
    if (!isInterrupted) break;
  }
});

test("a machine is removed without its disks, and with them only if asked", async () => {
  const { virsh, images, define, remove } = await world();
  const wanted = {
    ...{ ownerId: "cnv_1", sourceId: "agt_1", pointId: "rp_1" },
    disks: [{ ...disk, path: images.pathOf("cnv_1", "sda", "raw"), format: "raw" as const }],
  };
  await define();
  expect(await remove(false)).toEqual({ disksRemoved: false });
  expect((await images.require(wanted)).disks).toHaveLength(1);
  await define();
  expect(await remove(true)).toEqual({ disksRemoved: true });
  await expect(images.require(wanted)).rejects.toMatchObject({ name: "ImagesNotOursError" });
  expect(await remove(true)).toEqual({ disksRemoved: true });
  expect(defined(virsh)).toEqual([]);
});

test("a machine that gets another name leaves none of the old name behind, unless it is on", async () => {
  const { virsh, define, power } = await world();
  await define();
  await power("on");
  await expect(define({ name: "web2" })).rejects.toMatchObject({ name: "MachineRunningError" });
  await power("off");
  await define({ name: "web2" });
  expect(defined(virsh)).toEqual(["web2"]);
});

test("a machine that this host cannot give leaves the earlier one as it is", async () => {
  const { virsh, records, define } = await world();
  await define();
  const { machine } = (await records.read("cnv_1")) ?? {};
  const cards = [{ address: "52:54:00:00:00:01", link: { kind: "bridge", bridge: "nobridge0" } as const }];
  const shape = { ...machine?.shape, cards } as CommandInput<"define-machine">["shape"];
  await expect(define({ name: "web2", shape })).rejects.toMatchObject({ name: "MachineUnsupportedError" });
  expect(defined(virsh)).toEqual(["web1"]);
  expect(await records.read("cnv_1")).toMatchObject({ machine: { name: "web1" } });
});

test("images that this agent did not write are never given to a machine", async () => {
  const { virsh, define } = await world();
  const disks = [{ ...disk, path: "/etc/shadow", format: "raw" as const }];
  await expect(define({ disks })).rejects.toMatchObject({ name: "ImagesNotOursError" });
  await expect(define({ ownerId: "cnv_2" })).rejects.toMatchObject({ name: "ImagesNotOursError" });
  expect(defined(virsh)).toEqual([]);
});

test("a machine that is not defined cannot be switched on", async () => {
  const { power } = await world();
  await expect(power("on")).rejects.toMatchObject({ name: "MachineNotDefinedError" });
});

test("an isolated machine is connected when asked, or when an operator switches it on, and only while it may run", async () => {
  const cards = [{ address: "52:54:00:00:00:02", link: { kind: "network", network: "production" } as const }];
  const { virsh, records, leases, define, power, connect } = await world();
  await virsh.addNetwork("production");
  const shape = { ...PLAIN_SHAPE, cards };
  await define({ isolated: true, shape });
  expect(virsh.items[""][0]?.xml).toContain('network="web1-isolated"');
  leases.requireMayRun = async () => {
    throw new LeaseEndedError("agt_1", 1);
  };
  await expect(connect()).rejects.toMatchObject({ name: "LeaseEndedError" });
  expect(virsh.items[""][0]?.xml).toContain('network="web1-isolated"');
  leases.requireMayRun = async () => {};
  expect(await connect()).toMatchObject({ machine: { name: "web1" }, power: "off" });
  expect(virsh.items[""][0]?.xml).toContain('network="production"');
  expect((await records.read("cnv_1"))?.machine).not.toHaveProperty("isolated");
  const { length } = virsh.calls;
  await connect();
  expect(virsh.calls.slice(length).filter((call) => call.startsWith("define"))).toEqual([]);
  await define({ isolated: true, shape });
  await power("on");
  expect(virsh.items[""][0]?.live).toContain('network="production"');
  expect(await connect()).toMatchObject({ power: "on" });
});

test("a machine that moves to another hypervisor is removed from the first", async () => {
  const { virsh, define, remove } = await world();
  await define();
  await define({ hypervisor: "qemu" });
  expect(defined(virsh)).toEqual([]);
  expect(existsSync(join(dir, "causeway-web1.service"))).toBe(true);
  await remove(false);
  expect(existsSync(join(dir, "causeway-web1.service"))).toBe(false);
  expect(existsSync(join(dir, "scripts/cnv_1"))).toBe(false);
});

test("a machine that this host could not ask while it is isolated is not defined, and is found unfit by a dry run", async () => {
  const isolatedNetworks = [{ gateway: "192.0.2.1", prefixLength: 24, addresses: ["192.0.2.7"] }];
  const { define, virsh } = await world({ askerProblem: "ip is not installed" });
  for (const dryRun of [true, false])
    await expect(define({ isolatedNetworks, dryRun })).rejects.toMatchObject({
      name: "IsolatedCheckUnavailableError",
      message: expect.stringContaining("ip is not installed"),
    });
  expect(virsh.items[""]).toEqual([]);
  const able = await world();
  const formerAddresses = ["192.0.2.10"];
  await able.define({ isolatedNetworks, formerAddresses });
  expect((await able.records.read("cnv_1"))?.machine).toMatchObject({ isolatedNetworks, formerAddresses });
});
