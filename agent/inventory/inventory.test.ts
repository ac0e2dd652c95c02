import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { Inventory } from "#shared/protocol/inventory.ts";
import { createJunkImage, inScratch, isRoot, MIB, tool } from "../filesystems/testing/test-image.ts";
import { qemu } from "../hypervisor/qemu/qemu.ts";
import { LocalMachine, type Machine } from "../machine/machine.ts";
import { debianUefi, RecordedMachine } from "../machine/testing/recorded-machine.ts";
import { collectInventory, type InventoryOptions } from "./inventory.ts";

const MQTT_LIMIT_BYTES = 128 * 1024;

async function inventoryOf(machine: Machine, more: Partial<InventoryOptions> = {}): Promise<Inventory> {
  const inventory = await collectInventory({
    machine,
    now: () => new Date("2030-01-01T00:00:00Z"),
    chosenDisks: [],
    ...more,
  });
  expect(JSON.stringify(inventory).length).toBeLessThan(MQTT_LIMIT_BYTES);
  return Inventory.parse(inventory);
}

/** A GPT disk with an ESP and an ext4 root, as the recorded machine's. */
async function makeDisk(folder: string): Promise<string> {
  const image = `${folder}/sda`;
  await createJunkImage(image, 16 * MIB);
  tool("sgdisk", "--clear", "--new=1:2048:+2M", "--typecode=1:ef00", "--new=2:8192:+8M", image);
  const files = `${folder}/files`;
  tool("mkdir", "-p", `${files}/etc`);
  execFileSync("sh", ["-c", `echo 'PRETTY_NAME="Test OS 7"' > ${files}/etc/os-release`]);
  tool("mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-d", files, "-E", `offset=${4 * MIB}`, image, "8M");
  return image;
}

test("a recorded UEFI Debian is described completely", async () => {
  await inScratch(async (folder) => {
    const machine = new RecordedMachine(debianUefi, { disks: { "/dev/sda": await makeDisk(folder) } });
    const inventory = await inventoryOf(machine);
    expect(inventory).toMatchObject({
      takenAt: "2030-01-01T00:00:00.000Z",
      hostname: "debian-source",
      operatingSystem: { family: "linux", id: "debian", version: "12", architecture: "x86_64" },
      firmware: { kind: "uefi", secureBoot: "disabled" },
      bootLoader: {
        kind: "grub",
        configPath: "/boot/grub/grub.cfg",
        environmentPath: "/boot/grub/grubenv",
        environmentFileSystem: "ext4",
        environmentDevice: "/dev/sda2",
        espPath: "/boot/efi",
        entries: [
          { id: "Boot0000", label: "UiApp", active: true },
          { id: "Boot0001", label: "UEFI QEMU HARDDISK QM00001 ", active: true },
        ],
      },
      memoryBytes: 975_320 * 1024,
      cpu: { count: 2, flags: expect.arrayContaining(["lm", "sse2"]) },
      missingTools: [],
    });
    expect(inventory.disks).toMatchObject([
      {
        name: "sda",
        path: "/dev/sda",
        kind: "device",
        sizeBytes: 2 ** 31,
        model: "QEMU HARDDISK",
        transport: "sata",
        rotational: true,
        partitionTable: "gpt",
        problems: [],
        partitions: [
          { number: 1, path: "/dev/sda1", mountPoints: ["/boot/efi"] },
          {
            number: 2,
            path: "/dev/sda2",
            offsetBytes: 4 * MIB,
            mountPoints: ["/"],
            content: { type: "ext4", label: "root", uuid: expect.stringMatching(/^[0-9a-f-]{36}$/) },
          },
        ],
      },
    ]);
  });
});

test("a recorded network is described with its bond, its VLAN and the cards' own addresses", async () => {
  const { network } = await inventoryOf(new RecordedMachine(debianUefi));
  const byName = Object.fromEntries(network.interfaces.map((nic) => [nic.name, nic]));
  expect(Object.keys(byName)).toEqual(["eth0", "eth1", "bond0", "bond0.42", "br0"]);
  expect(byName.eth0).toMatchObject({
    kind: "ethernet",
    driver: "e1000",
    macAddress: "52:54:00:12:34:57",
    configuration: { source: "ifupdown", method: "dhcp" },
  });
  expect(byName.eth0?.addresses).toContainEqual({
    family: "ipv4",
    address: "10.0.2.15",
    prefixLength: 24,
    dynamic: true,
  });
  expect(byName.eth1).toMatchObject({ permanentMacAddress: "52:54:00:12:34:56", addresses: [] });
  expect(byName.bond0).toMatchObject({ kind: "bond", bond: { mode: "active-backup", members: ["eth1"] } });
  expect(byName["bond0.42"]).toMatchObject({
    kind: "vlan",
    vlan: { id: 42, parent: "bond0" },
    addresses: [{ address: "10.1.2.3", prefixLength: 24, dynamic: false }],
  });
  expect(network.routes).toContainEqual({ destination: "default", gateway: "10.0.2.2", device: "eth0" });
});

test("if nothing can be found out, everything is unknown, and nothing throws", async () => {
  const inventory = await inventoryOf(new RecordedMachine({}));
  expect(inventory).toMatchObject({
    hostname: "unknown",
    bootId: "unknown",
    operatingSystem: { family: "unknown", id: "unknown", kernel: "unknown" },
    bootLoader: { kind: "unknown" },
    memoryBytes: "unknown",
    virtualization: "unknown",
    agentStart: "unknown",
    disks: [],
    missingTools: [{ tool: "ip", package: "iproute2" }],
  });
});

test("a source names the services that its fence keeps down, also if there is none, and what is known of them", async () => {
  const machine = new RecordedMachine({});
  for (const services of [[], ["db.service"]]) {
    const look = async () => services.map((name) => ({ name, state: "running" as const }));
    expect(await inventoryOf(machine, { fence: { services, look } })).toMatchObject({
      ...{ fencedServices: services, fencedUnits: await look() },
    });
  }
  const unknown = await inventoryOf(machine, { fence: { services: [], look: async () => undefined } });
  expect(unknown).not.toHaveProperty("fencedUnits");
  expect(await inventoryOf(machine)).not.toHaveProperty("fencedServices");
});

test("a disk that cannot be read is listed with the reason", async () => {
  const { disks } = await inventoryOf(new RecordedMachine(debianUefi));
  expect(disks).toMatchObject([
    { name: "sda", sizeBytes: 2 ** 31, partitionTable: "unknown", unreadable: "/dev/sda: permission denied" },
  ]);
});

test("chosen image files are the only disks, and their operating system is named", async () => {
  await inScratch(async (folder) => {
    const path = await makeDisk(folder);
    const { disks } = await inventoryOf(new LocalMachine(), { chosenDisks: [{ name: "demo", path }] });
    expect(disks).toMatchObject([
      {
        name: "demo",
        path,
        kind: "image",
        sizeBytes: 16 * MIB,
        partitionTable: "gpt",
        operatingSystem: "Test OS 7",
      },
    ]);
  });
});

test.skipIf(!isRoot)("a chosen block device keeps the given name, and has its real size", async () => {
  await inScratch(async (folder) => {
    const path = tool("losetup", "--find", "--show", await makeDisk(folder)).trim();
    try {
      const { disks } = await inventoryOf(new LocalMachine(), { chosenDisks: [{ name: "data", path }] });
      expect(disks).toMatchObject([
        { name: "data", path, kind: "device", sizeBytes: 16 * MIB, partitionTable: "gpt", problems: [] },
      ]);
    } finally {
      tool("losetup", "--detach", path);
    }
  });
});

test("a physical volume without LVM's tools is reported as a missing tool", async () => {
  await inScratch(async (folder) => {
    const image = `${folder}/sda`;
    await createJunkImage(image, MIB);
    // The label in the second sector, the type that follows it, and no table in the first.
    execFileSync("sh", ["-c", `head -c 512 /dev/zero | dd of=${image} conv=notrunc status=none`]);
    execFileSync("sh", ["-c", `printf LABELONE | dd of=${image} bs=1 seek=512 conv=notrunc status=none`]);
    execFileSync("sh", [
      "-c",
      `printf '\\040\\0\\0\\0LVM2 001' | dd of=${image} bs=1 seek=532 conv=notrunc status=none`,
    ]);
    const machine = new RecordedMachine(debianUefi, { disks: { "/dev/sda": image } });
    const { missingTools, disks } = await inventoryOf(machine);
    expect(disks[0]?.content?.type).toBe("LVM2_member");
    expect(missingTools).toEqual([{ tool: "vgs", package: "lvm2" }]);
  });
});

test("a target host reports its hypervisor, the room for images, its check scripts, and whether it can ask isolated machines", async () => {
  await inScratch(async (folder) => {
    let problem: string | undefined;
    const target = {
      ...{ hypervisor: qemu, imagesPath: folder, checkScripts: async () => ["web"] },
      askerProblem: async () => problem,
    };
    const { hypervisor, images, checkScripts, isolatedChecks } = await inventoryOf(new LocalMachine(), {
      target,
    });
    expect(hypervisor).toMatchObject({
      kind: "qemu",
      version: expect.stringMatching(/^\d+\.\d+/),
    });
    expect(images?.path).toBe(folder);
    expect(images?.freeBytes).toBeGreaterThan(0);
    expect(checkScripts).toEqual(["web"]);
    expect(isolatedChecks).toEqual({});
    problem = "ip is not installed";
    const without = await inventoryOf(new LocalMachine(), { target });
    expect(without.isolatedChecks).toEqual({ problem });
  });
});
