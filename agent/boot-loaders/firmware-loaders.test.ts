import { chmod, mkdir, readFile, rm } from "node:fs/promises";
import { afterEach, describe, expect, test } from "vitest";
import { EFI_VARIABLES } from "../machine/system.ts";
import type { BootLoaderAdapter } from "./adapter.ts";
import { BootNext } from "./boot-next.ts";
import { chooseLoader } from "./choose.ts";
import { Grub } from "./grub.ts";
import { linuxAdapters } from "./linux-loaders.ts";
import { decodeLoadOption, encodeLoadOption } from "./load-option.ts";
import { SystemdBoot } from "./systemd-boot.ts";
import {
  imageOf,
  JOB_ID,
  NEED,
  probeUsable,
  saveState,
  stageAndArm,
  stageImage,
} from "./testing/cold-clone.ts";
import {
  createFakeMachine,
  ESP_PARTITION_UUID,
  type FakeMachineOptions,
  type RootedMachine,
} from "./testing/fake-machine.ts";
import { installGrub } from "./testing/grub-installation.ts";
import { installSystemdBoot } from "./testing/systemd-boot-installation.ts";
import { withoutWriting } from "./testing/untouched.ts";

const GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

const ENTRY = "linux /vmlinuz\n";

const machines: RootedMachine[] = [];
afterEach(async () => {
  for (const { root } of machines.splice(0)) await rm(root, { recursive: true, force: true });
});

async function machineWith(options: FakeMachineOptions = { firmware: "uefi" }): Promise<RootedMachine> {
  const machine = await createFakeMachine(options);
  machines.push(machine);
  return machine;
}

async function arm(machine: RootedMachine, adapter: BootLoaderAdapter) {
  const loader = await probeUsable(adapter);
  const saved = await saveState(adapter);
  const armed = await stageAndArm(machine, { adapter, saved, loader, image: await imageOf(machine) });
  return { saved, armed };
}

function variable(machine: RootedMachine, name: string): Promise<Buffer | undefined> {
  return machine.contents(`${EFI_VARIABLES}/${name}`);
}

/** The most recently created machine. */
async function refusalsOf(adapter: BootLoaderAdapter, need = NEED): Promise<string[]> {
  const machine = machines.at(-1);
  if (!machine) throw new Error("no machine");
  const result = await withoutWriting(machine, () => adapter.probe(need));
  return result.usable ? [] : result.refusals.map(({ code }) => code);
}

describe("BootNext", () => {
  test("a new entry in the lowest free number starts the image; it is last in BootOrder and next", async () => {
    const machine = await machineWith();
    const { armed } = await arm(machine, new BootNext(machine));
    expect(armed.entry).toBe("Boot0001");
    expect(await variable(machine, `BootOrder-${GLOBAL}`)).toEqual(
      Buffer.from([7, 0, 0, 0, 2, 0, 0, 0, 1, 0]),
    );
    expect(await variable(machine, `BootNext-${GLOBAL}`)).toEqual(Buffer.from([7, 0, 0, 0, 1, 0]));
    const option = decodeLoadOption(
      (await variable(machine, `Boot0001-${GLOBAL}`))?.subarray(4) ?? Buffer.alloc(0),
    );
    expect(option).toMatchObject({ active: true, label: "Causeway boot environment" });
    expect(option?.optionalData.toString("utf16le")).toBe("console=tty0 panic=10 causeway.job=1\0");
    expect(option?.path).toEqual([
      {
        kind: "hard-drive",
        partition: {
          number: 1,
          startBlock: 2048n,
          blocks: 16384n,
          signature: { format: "gpt", guid: ESP_PARTITION_UUID },
        },
      },
      { kind: "file", path: `\\EFI\\causeway\\${JOB_ID}\\causeway.efi` },
    ]);
  });

  test("restoring puts BootOrder back byte for byte and leaves nothing of ours, even after the firmware has used BootNext", async () => {
    const machine = await machineWith();
    const adapter = new BootNext(machine);
    const order = await variable(machine, `BootOrder-${GLOBAL}`);
    const { saved } = await arm(machine, adapter);
    await machine.deleteVariable(`${EFI_VARIABLES}/BootNext-${GLOBAL}`);
    // Some firmware sorts it again.
    await machine.putVariable(`BootOrder-${GLOBAL}`, Buffer.from([1, 0, 2, 0, 0, 0]));
    expect((await adapter.attest(saved)).outcome).toBe("different");
    expect((await adapter.restore(saved)).outcome).toBe("equal");
    expect(await variable(machine, `BootOrder-${GLOBAL}`)).toEqual(order);
    expect(await variable(machine, `Boot0001-${GLOBAL}`)).toBeUndefined();
    expect(await machine.list("/boot/efi/EFI")).toEqual([]);
  });

  test("nothing is reported as restored if the firmware's variables are not mounted", async () => {
    const machine = await machineWith();
    const adapter = new BootNext(machine);
    const { saved } = await arm(machine, adapter);
    await rm(machine.at(EFI_VARIABLES), { recursive: true });
    const unmounted = { name: "VolumeNotMountedError", details: { volume: "efivarfs" } };
    await withoutWriting(machine, async () => {
      await expect(adapter.restore(saved)).rejects.toMatchObject(unmounted);
      await expect(adapter.disarm(saved)).rejects.toMatchObject(unmounted);
      await expect(adapter.attest(saved)).rejects.toMatchObject(unmounted);
    });
  });

  test("permissions and times on the ESP do not count: they come from the mount options", async () => {
    const machine = await machineWith();
    await mkdir(machine.at("/boot/efi/EFI/causeway/other"), { recursive: true });
    const adapter = new BootNext(machine);
    const { saved } = await arm(machine, adapter);
    await chmod(machine.at("/boot/efi/EFI"), 0o755);
    await chmod(machine.at("/boot/efi/EFI/causeway"), 0o755);
    expect((await adapter.restore(saved)).outcome).toBe("equal");
    expect(await machine.list("/boot/efi/EFI/causeway")).toEqual(["other"]);
  });

  test("disarming undoes BootNext only, and only ours", async () => {
    const machine = await machineWith();
    const adapter = new BootNext(machine);
    const { saved } = await arm(machine, adapter);
    await adapter.disarm(saved);
    expect(await variable(machine, `BootNext-${GLOBAL}`)).toBeUndefined();
    await machine.putVariable(`BootNext-${GLOBAL}`, Buffer.from([2, 0]));
    await adapter.disarm(saved);
    expect(await variable(machine, `BootNext-${GLOBAL}`)).toBeDefined();
  });

  test("an entry that the firmware made under our number meanwhile stays, wherever it is named, and is reported", async () => {
    const machine = await machineWith();
    const adapter = new BootNext(machine);
    const { saved, armed } = await arm(machine, adapter);
    const theirs = encodeLoadOption({
      ...{ active: true, hidden: false, otherAttributes: 0, label: "Network", path: [] },
      optionalData: Buffer.alloc(0),
    });
    await machine.putVariable(`${armed.entry}-${GLOBAL}`, theirs);
    const name = `${armed.entry}-${GLOBAL}`;
    const { outcome, items } = await adapter.restore(saved);
    expect((await variable(machine, name))?.subarray(4)).toEqual(theirs);
    expect(outcome).toBe("changed-by-others");
    expect(items.filter((item) => item.outcome !== "equal").map((item) => item.name)).toEqual(
      ["BootNext", "BootOrder", armed.entry].map((each) => `${each}-${GLOBAL}`),
    );
    expect(await variable(machine, `BootOrder-${GLOBAL}`)).toEqual(
      Buffer.from([7, 0, 0, 0, 2, 0, 0, 0, 1, 0]),
    );
    expect(await variable(machine, `BootNext-${GLOBAL}`)).toEqual(Buffer.from([7, 0, 0, 0, 1, 0]));
  });

  test("firmware that does not keep what is written to it is detected, and the default was never changed", async () => {
    const machine = await machineWith();
    const adapter = new BootNext(machine);
    const loader = await probeUsable(adapter);
    const saved = await saveState(adapter);
    const write = machine.writeVariable.bind(machine);
    machine.writeVariable = async (path, bytes) =>
      path.includes("BootOrder") ? undefined : write(path, bytes);
    await stageImage(machine, loader, await imageOf(machine));
    await expect(adapter.arm(saved)).rejects.toMatchObject({ name: "ArmingFailedError" });
    machine.writeVariable = write;
    expect(await variable(machine, `BootNext-${GLOBAL}`)).toBeUndefined();
    expect((await adapter.restore(saved)).outcome).toBe("equal");
  });

  test.each<[string, (machine: RootedMachine) => Promise<unknown>, string]>([
    [
      "an earlier conversion left its entry",
      async (machine) => {
        const adapter = new BootNext(machine);
        const { saved } = await arm(machine, adapter);
        await adapter.disarm(saved);
      },
      "entry-left",
    ],
    [
      "another entry is already next",
      (machine) => machine.putVariable(`BootNext-${GLOBAL}`, Buffer.from([2, 0])),
      "boot-next-pending",
    ],
    [
      "there is no BootOrder",
      (machine) => machine.deleteVariable(`${EFI_VARIABLES}/BootOrder-${GLOBAL}`),
      "boot-next-unsupported",
    ],
    [
      "Secure Boot is on",
      (machine) => machine.putVariable(`SecureBoot-${GLOBAL}`, Buffer.from([1])),
      "secure-boot",
    ],
    [
      "every user may read the ESP",
      (machine) => chmod(machine.at("/boot/efi/EFI"), 0o755),
      "place-readable-by-all",
    ],
    [
      "the variables are mounted read-only",
      (machine) => changeMounts(machine, "- efivarfs efivarfs rw", "- efivarfs efivarfs ro"),
      "variables-read-only",
    ],
    [
      "the ESP is not mounted",
      (machine) => changeMounts(machine, "/boot/efi rw", "/elsewhere rw"),
      "no-place",
    ],
    [
      "the ESP is read-only",
      (machine) => changeMounts(machine, "vfat /dev/sda1 rw", "vfat /dev/sda1 ro"),
      "place-read-only",
    ],
    [
      "the ESP is not a partition",
      (machine) => rm(machine.at("/sys/devices/pci0000:00/block/sda/sda1/partition")),
      "esp-not-a-partition",
    ],
  ])("is refused if %s", async (_, change, code) => {
    const machine = await machineWith();
    expect(await refusalsOf(new BootNext(machine))).toEqual([]);
    await change(machine);
    expect(await refusalsOf(new BootNext(machine))).toContain(code);
  });

  test("is refused on BIOS, and if the image does not fit on the ESP", async () => {
    expect(await refusalsOf(new BootNext(await machineWith({ firmware: "bios" })))).toContain("not-uefi");
    const machine = await machineWith();
    machine.freeSpaceBytes = 30_000_000;
    expect(await refusalsOf(new BootNext(machine), { ...NEED, unifiedKernelBytes: 50_000_000 })).toEqual([
      "place-too-small",
    ]);
  });
});

describe("systemd-boot", () => {
  async function systemdMachine(features?: bigint): Promise<RootedMachine> {
    const machine = await machineWith();
    await installSystemdBoot(machine, features);
    return machine;
  }

  test("an entry of our own is started once; the other entries and the configuration stay", async () => {
    const machine = await systemdMachine();
    const adapter = new SystemdBoot(machine);
    const { armed, saved } = await arm(machine, adapter);
    expect(armed.entry).toBe(`_-causeway-${JOB_ID}.conf`);
    const text = await readFile(machine.at(`/boot/efi/loader/entries/${armed.entry}`), "utf8");
    expect(text.split("\n")).toEqual([
      "title Causeway boot environment",
      `linux /causeway/${JOB_ID}/vmlinuz`,
      `initrd /causeway/${JOB_ID}/initrd.zst`,
      `initrd /causeway/${JOB_ID}/overlay.cpio`,
      "options console=tty0 panic=10 causeway.job=1",
      "",
    ]);
    const oneShot = await variable(machine, `LoaderEntryOneShot-${LOADER}`);
    expect(oneShot?.toString("utf16le", 4)).toBe(`${armed.entry}\0`);
    await adapter.disarm(saved);
    expect(await variable(machine, `LoaderEntryOneShot-${LOADER}`)).toBeUndefined();
    expect((await adapter.restore(saved)).outcome).toBe("equal");
    expect(await machine.list("/boot/efi/loader/entries")).toEqual(["debian.conf"]);
  });

  test("is refused if it did not start this system, cannot start an entry once, has no other entry, or must not be armed for another reason", async () => {
    const other = await machineWith();
    expect(await refusalsOf(new SystemdBoot(other))).toContain("not-systemd-boot");
    const without = (bit: bigint) => systemdMachine(0x1ffn & ~(1n << bit));
    expect(await refusalsOf(new SystemdBoot(await without(3n)))).toEqual(["one-shot-unsupported"]);
    expect(await refusalsOf(new SystemdBoot(await without(8n)))).toEqual(["menu-order-unknown"]);
    const alone = await systemdMachine();
    await alone.unlink("/boot/efi/loader/entries/debian.conf");
    expect(await refusalsOf(new SystemdBoot(alone))).toEqual(["default-would-change"]);
    const left = await systemdMachine();
    const earlier = new SystemdBoot(left);
    await earlier.disarm((await arm(left, earlier)).saved);
    await left.unlink("/boot/efi/loader/entries/debian.conf");
    expect(await refusalsOf(new SystemdBoot(left))).toEqual(["entry-left", "default-would-change"]);
    const readOnly = await systemdMachine();
    const mounts = (await readOnly.contents("/proc/self/mountinfo"))?.toString() ?? "";
    await readOnly.put("/proc/self/mountinfo", mounts.replace("efivarfs rw", "efivarfs ro"));
    expect(await refusalsOf(new SystemdBoot(readOnly))).toEqual(["variables-read-only"]);
    const secure = await systemdMachine();
    await secure.putVariable(`SecureBoot-${GLOBAL}`, Buffer.from([1]));
    expect(await refusalsOf(new SystemdBoot(secure))).toEqual(["secure-boot"]);
    const elsewhere = await systemdMachine();
    await elsewhere.putVariable(`LoaderDevicePartUUID-${LOADER}`, Buffer.from("x\0", "utf16le"));
    expect(await refusalsOf(new SystemdBoot(elsewhere))).toEqual(["menu-unread"]);
    const pending = await systemdMachine();
    await pending.putVariable(`LoaderEntryOneShot-${LOADER}`, Buffer.from("x\0", "utf16le"));
    expect(await refusalsOf(new SystemdBoot(pending))).toEqual(["one-shot-pending"]);
  });

  test.each<[string, Record<string, string>, string[]]>([
    ["a name that is no version", {}, []],
    ["a name that is older than letters and digits", { "loader/entries/-debian.conf": ENTRY }, []],
    ["a name that is older than ours", { "loader/entries/~.conf": ENTRY }, ["default-would-change"]],
    ["no attempts left", { "loader/entries/debian+0-3.conf": ENTRY }, ["default-would-change"]],
    ["a program that is missing", { "loader/entries/a.conf": "linux /none\n" }, ["default-would-change"]],
    [
      "a name that the default leaves out",
      { "loader/entries/a.conf": ENTRY, "loader/loader.conf": "default *causeway*\n" },
      ["default-would-change"],
    ],
  ])("is refused where ours would be the default beside an entry with %s", async (_, files, refusals) => {
    const machine = await systemdMachine();
    if (Object.keys(files).length > 0) await machine.unlink("/boot/efi/loader/entries/debian.conf");
    for (const [name, text] of Object.entries(files)) await machine.put(`/boot/efi/${name}`, text, 0o700);
    expect(await refusalsOf(new SystemdBoot(machine))).toEqual(refusals);
  });
});

test.each([
  ["BootNext", (machine: RootedMachine) => new BootNext(machine)],
  ["systemd-boot", (machine: RootedMachine) => new SystemdBoot(machine)],
])(
  "%s is refused if the EFI system partition is mirrored: only one half would be written",
  async (_, adapterOf) => {
    const machine = await machineWith({ firmware: "uefi", espLayer: "md" });
    await installSystemdBoot(machine);
    expect(await refusalsOf(adapterOf(machine))).toContain("place-device");
  },
);

describe("the choice of a boot loader", () => {
  test("prefers BootNext, and takes GRUB if the ESP is too small", async () => {
    const machine = await machineWith();
    await installGrub(machine);
    expect((await chooseLoader(linuxAdapters(machine), NEED)).loader.kind).toBe("boot-next");
    machine.freeBytes = async (path) => (path.startsWith("/boot/efi") ? 1000 : 100_000_000);
    const { loader, passedOver } = await chooseLoader(linuxAdapters(machine), NEED);
    expect(loader).toMatchObject({ kind: "grub", folder: `/boot/causeway/${JOB_ID}` });
    expect(passedOver.map(({ kind }) => kind)).toEqual(["boot-next", "systemd-boot"]);
  });

  test("names every reason, and the remaining way, if no boot loader can be armed", async () => {
    const machine = await machineWith({ firmware: "bios", separateBoot: true, bootLayer: "lvm" });
    await installGrub(machine);
    await withoutWriting(machine, () =>
      expect(chooseLoader(linuxAdapters(machine), NEED)).rejects.toMatchObject({
        name: "ArmingRefusedError",
        message: expect.stringContaining("grub: /boot/grub/grubenv is on LVM"),
        hint: expect.stringContaining("ISO"),
      }),
    );
  });

  test("a GRUB that is only left over is not armed if systemd-boot started the system", async () => {
    const machine = await machineWith();
    await installGrub(machine);
    await installSystemdBoot(machine);
    expect(await refusalsOf(new Grub(machine))).toEqual(["other-loader"]);
  });
});

async function changeMounts(machine: RootedMachine, from: string, to: string): Promise<void> {
  const path = "/proc/self/mountinfo";
  const text = await readFile(machine.at(path), "utf8");
  expect(text).toContain(from);
  await machine.put(path, text.replace(from, to));
}
