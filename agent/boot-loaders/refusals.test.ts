/**
 * What ends saving, arming and restoring with an error: before its first write it leaves the machine
 * untouched; after it, the next start is as always, and restoring takes the rest back.
 */
import { readFile, rm } from "node:fs/promises";
import { afterEach, describe, expect, test } from "vitest";
import type { BootMachine } from "../machine/boot-machine.ts";
import { EFI_VARIABLES } from "../machine/system.ts";
import type { BootLoaderAdapter } from "./adapter.ts";
import { BootNext } from "./boot-next.ts";
import { Grub } from "./grub.ts";
import type { SavedBootState, SavedItem } from "./saved-state.ts";
import { SystemdBoot } from "./systemd-boot.ts";
import { imageOf, JOB_ID, NEED, probeUsable, SAVED_AT, saveState, stageImage } from "./testing/cold-clone.ts";
import { createFakeMachine, type RootedMachine } from "./testing/fake-machine.ts";
import { grubEnvironmentBlock, installGrub } from "./testing/grub-installation.ts";
import { installSystemdBoot } from "./testing/systemd-boot-installation.ts";
import { withoutWriting } from "./testing/untouched.ts";

const GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const BOOT_ORDER = `${EFI_VARIABLES}/BootOrder-${GLOBAL}`;
const CUSTOM = "/boot/grub/custom.cfg";
const GRUBENV = "/boot/grub/grubenv";
const ENTRIES = "/boot/efi/loader/entries";
const JOB = { jobId: JOB_ID, savedAt: SAVED_AT, commandLine: "" };

const LOADERS = {
  GRUB: {
    firmware: "bios",
    install: (machine: RootedMachine) => installGrub(machine),
    adapter: (machine: BootMachine): BootLoaderAdapter => new Grub(machine),
  },
  BootNext: {
    firmware: "uefi",
    install: async () => {},
    adapter: (machine: BootMachine): BootLoaderAdapter => new BootNext(machine),
  },
  "systemd-boot": {
    firmware: "uefi",
    install: (machine: RootedMachine) => installSystemdBoot(machine),
    adapter: (machine: BootMachine): BootLoaderAdapter => new SystemdBoot(machine),
  },
} as const;
type LoaderName = keyof typeof LOADERS;
type Change = (machine: RootedMachine) => unknown;

const machines: RootedMachine[] = [];
afterEach(async () => {
  for (const { root } of machines.splice(0)) await rm(root, { recursive: true, force: true });
});

async function machineWith(name: LoaderName) {
  const { firmware, install, adapter } = LOADERS[name];
  const machine = await createFakeMachine({ firmware });
  machines.push(machine);
  await install(machine);
  return { machine, adapter: adapter(machine) };
}

/** Saved and staged: ready to be armed. */
async function staged(name: LoaderName) {
  const { machine, adapter } = await machineWith(name);
  const loader = await probeUsable(adapter);
  const saved = await saveState(adapter);
  const image = await stageImage(machine, loader, await imageOf(machine));
  return { machine, adapter, saved, image };
}

const unmount = (mountPoint: string) => async (machine: RootedMachine) => {
  const path = "/proc/self/mountinfo";
  const mounts = (await readFile(machine.at(path), "utf8")).split("\n");
  await machine.put(path, mounts.filter((line) => line.split(" ")[4] !== mountPoint).join("\n"));
};

/** A saved state without the item that has this in its name. */
function without(saved: SavedBootState, name: string): SavedBootState {
  const nameIn = (item: SavedItem) => ("location" in item ? item.location.path : item.name);
  const items = saved.items.filter((item) => !nameIn(item).includes(name));
  expect(items).toHaveLength(saved.items.length - 1);
  return { ...saved, items };
}

const unreadable = (why: string) => ({
  name: "BootStateUnreadableError",
  message: expect.stringContaining(why),
});
const unkept = (what: string) => ({ name: "ArmingFailedError", message: expect.stringContaining(what) });

describe("the conditions for every boot loader refuse each of them, and nothing is written", () => {
  const conditions: [string, string, Change][] = [
    [
      "not-root",
      "the agent does not run as root",
      (machine) => Object.assign(machine, { isRootUser: false }),
    ],
    ["place-too-small", "there is no room", (machine) => Object.assign(machine, { freeSpaceBytes: 1000 })],
    [
      "place-unknown",
      "no file system has a UUID",
      async (machine) => {
        for (const name of ["sda1", "sda2"]) await machine.overwrite(`/dev/${name}`, Buffer.alloc(4096));
      },
    ],
    [
      "place-read-only",
      "every file system on a disk is mounted read-only",
      async (machine) => {
        const path = "/proc/self/mountinfo";
        const mounts = await readFile(machine.at(path), "utf8");
        await machine.put(path, mounts.replaceAll(/(\/dev\/sda\d) rw/g, "$1 ro"));
      },
    ],
    [
      "no-place",
      "neither /boot nor the EFI system partition is mounted",
      async (machine) => {
        for (const path of ["/", "/boot/efi"]) await unmount(path)(machine);
      },
    ],
  ];
  const onUefi: [string, string, Change][] = [
    ["secure-boot", "Secure Boot is on", (machine) => putVariable(machine, "SecureBoot", 1)],
    ["boot-next-pending", "BootNext is set", (machine) => putVariable(machine, "BootNext", 2, 0)],
  ];
  const rows = (Object.keys(LOADERS) as LoaderName[]).flatMap((name) =>
    [...conditions, ...(LOADERS[name].firmware === "uefi" ? onUefi : [])].map(
      ([code, about, change]) => [name, code, about, change] as const,
    ),
  );

  test.each(rows)("%s: %s if %s", async (name, code, _, change) => {
    const { machine, adapter } = await machineWith(name);
    await change(machine);
    const result = await withoutWriting(machine, () => adapter.probe(NEED));
    expect(result.usable ? [] : result.refusals.map((each) => each.code)).toContain(code);
  });
});

function putVariable(machine: RootedMachine, name: string, ...value: number[]): Promise<void> {
  return machine.putVariable(`${name}-${GLOBAL}`, Buffer.from(value));
}

describe("a state that cannot be saved is refused, and nothing is written", () => {
  test.each<[LoaderName, string, object, Change]>([
    [
      "GRUB",
      "custom.cfg is too large",
      unreadable("too large"),
      (machine) => machine.put(CUSTOM, Buffer.alloc(2 ** 20 + 1, "#")),
    ],
    [
      "GRUB",
      "custom.cfg changes while it is read",
      unreadable("it is changing"),
      async (machine) => {
        await machine.put(CUSTOM, "# mine\n");
        const { contents } = machine;
        machine.contents = async (path) => (path === CUSTOM ? Buffer.from("#") : contents(path));
      },
    ],
    [
      "GRUB",
      "custom.cfg is a folder",
      unreadable("not a regular file"),
      (machine) => machine.makeFolder(CUSTOM, 0o755),
    ],
    [
      "GRUB",
      "its file system has no UUID",
      unreadable("no UUID"),
      (machine) => machine.overwrite("/dev/sda2", Buffer.alloc(4096)),
    ],
    [
      "GRUB",
      "the environment block is damaged",
      unreadable("is damaged"),
      (machine) => machine.put(GRUBENV, "?".repeat(1024)),
    ],
    [
      "GRUB",
      "the environment block is full",
      unreadable("no room"),
      (machine) => machine.put(GRUBENV, grubEnvironmentBlock({ kept: "x".repeat(900) })),
    ],
    ["GRUB", "the environment block is gone", unreadable(GRUBENV), (machine) => machine.unlink(GRUBENV)],
    [
      "GRUB",
      "the configuration is gone",
      unreadable("GRUB's configuration cannot be saved"),
      (machine) => machine.unlink("/boot/grub/grub.cfg"),
    ],
    ["BootNext", "BootOrder is gone", unkept("BootOrder"), (machine) => machine.deleteVariable(BOOT_ORDER)],
    [
      "BootNext",
      "every number of an entry is used",
      unkept("BootOrder"),
      (machine) => {
        const { list } = machine;
        const names = Array.from({ length: 0x10000 }, (_, number) => number.toString(16).toUpperCase());
        const all = names.map((name) => `Boot${name.padStart(4, "0")}-${GLOBAL}`);
        machine.list = async (path) => (path === EFI_VARIABLES ? all : list(path));
      },
    ],
    [
      "BootNext",
      "the ESP is no longer a partition",
      unkept("/boot/efi"),
      (machine) => machine.unlink("/sys/devices/pci0000:00/block/sda/sda1/partition"),
    ],
    [
      "systemd-boot",
      "the ESP has no UUID",
      unkept("/boot/efi"),
      (machine) => machine.overwrite("/dev/sda1", Buffer.alloc(4096)),
    ],
    [
      "systemd-boot",
      "the folder of its entries is a file",
      unreadable("not a folder"),
      async (machine) => {
        await rm(machine.at(ENTRIES), { recursive: true });
        await machine.put(ENTRIES, "");
      },
    ],
  ])("%s: %s", async (name, _, error, change) => {
    const { machine, adapter } = await machineWith(name);
    const loader = await probeUsable(adapter);
    await change(machine);
    await withoutWriting(machine, () => expect(adapter.save(loader, JOB)).rejects.toMatchObject(error));
  });

  test("GRUB: a command line with a line end, which would begin another command", async () => {
    const { machine, adapter } = await machineWith("GRUB");
    const loader = await probeUsable(adapter);
    const saving = () => adapter.save(loader, { ...JOB, commandLine: "quiet\nreboot" });
    await withoutWriting(machine, () => expect(saving()).rejects.toThrow(RangeError));
  });
});

describe("a machine that is not as it was saved is not armed, and nothing is written", () => {
  const unmounted = { name: "VolumeNotMountedError" };
  test.each<[LoaderName, string, object, Change]>([
    ["GRUB", "the file system with /boot is not mounted", unmounted, unmount("/")],
    ["BootNext", "the ESP is not mounted", unmounted, unmount("/boot/efi")],
    ["systemd-boot", "the ESP is not mounted", unmounted, unmount("/boot/efi")],
    [
      "BootNext",
      "the firmware's variables are not mounted",
      unmounted,
      (machine) => rm(machine.at(EFI_VARIABLES), { recursive: true }),
    ],
    [
      "BootNext",
      "BootOrder has changed",
      { name: "BootStateChangedError", details: { changed: [`BootOrder-${GLOBAL}`] } },
      (machine) => putVariable(machine, "BootOrder", 0, 0, 2, 0),
    ],
    [
      "systemd-boot",
      "loader.conf has changed",
      { name: "BootStateChangedError", details: { changed: ["/boot/efi/loader/loader.conf"] } },
      (machine) => machine.put("/boot/efi/loader/loader.conf", "timeout 9\n"),
    ],
  ])("%s: %s", async (name, _, error, change) => {
    const { machine, adapter, saved, image } = await staged(name);
    await change(machine);
    await withoutWriting(machine, () => expect(adapter.arm(saved, image)).rejects.toMatchObject(error));
  });

  test.each<[LoaderName, string, object]>([
    ["GRUB", "/custom.cfg", { name: "BootStateChangedError" }],
    ["GRUB", "/grubenv", { name: "BootStateChangedError" }],
    ["BootNext", "Boot0001", unkept("Boot####")],
    ["systemd-boot", `_-causeway-${JOB_ID}.conf`, { name: "BootStateChangedError" }],
  ])("%s: the saved state lacks %s", async (name, end, error) => {
    const { machine, adapter, saved, image } = await staged(name);
    const less = without(saved, end);
    await withoutWriting(machine, () => expect(adapter.arm(less, image)).rejects.toMatchObject(error));
  });
});

describe("a write that fails leaves the next start as always, and restoring takes the rest back", () => {
  const fails = async () => {
    throw new Error("no space left on device");
  };
  const forgets =
    (name: string): Change =>
    (machine) => {
      const write = machine.writeVariable.bind(machine);
      machine.writeVariable = async (path, bytes) => (path.includes(name) ? undefined : write(path, bytes));
    };
  const failed = { message: "no space left on device" };
  test.each<[LoaderName, string, object, Change]>([
    [
      "GRUB",
      "the disk does not keep the environment block",
      unkept(GRUBENV),
      (machine) => Object.assign(machine, { overwrite: async () => {} }),
    ],
    ["GRUB", "custom.cfg has no room", failed, (machine) => Object.assign(machine, { create: fails })],
    ["GRUB", "custom.cfg is not replaced", failed, (machine) => Object.assign(machine, { rename: fails })],
    ["BootNext", "the firmware forgets the entry", unkept("Boot0001"), forgets("Boot0001")],
    ["BootNext", "the firmware forgets BootOrder", unkept("BootOrder"), forgets("BootOrder")],
    ["BootNext", "the firmware forgets BootNext", unkept("BootNext"), forgets("BootNext")],
    [
      "BootNext",
      "the firmware is full",
      failed,
      (machine) => Object.assign(machine, { writeVariable: fails }),
    ],
    [
      "systemd-boot",
      "the firmware forgets the entry's name",
      unkept("LoaderEntryOneShot"),
      forgets("OneShot"),
    ],
    ["systemd-boot", "the ESP has no room", failed, (machine) => Object.assign(machine, { create: fails })],
  ])("%s: %s", async (name, _, error, change) => {
    const { machine, adapter, saved, image } = await staged(name);
    const { overwrite, create, rename, writeVariable } = machine;
    await change(machine);
    await expect(adapter.arm(saved, image)).rejects.toMatchObject(error);
    Object.assign(machine, { overwrite, create, rename, writeVariable });
    const [nextStart] = (await adapter.attest(saved)).items;
    expect(nextStart?.outcome).toBe("equal");
    expect((await adapter.restore(saved)).outcome).toBe("equal");
  });
});

test.each<[LoaderName, string]>([
  ["BootNext", "BootOrder"],
  ["BootNext", "BootNext"],
  ["systemd-boot", "LoaderEntryOneShot"],
])(
  "%s: a saved state that lacks %s selects no entry, and the whole one takes the rest back",
  async (name, end) => {
    const { adapter, saved, image } = await staged(name);
    await expect(adapter.arm(without(saved, end), image)).rejects.toMatchObject(unkept(end));
    expect((await adapter.attest(saved)).items[0]?.outcome).toBe("equal");
    expect((await adapter.restore(saved)).outcome).toBe("equal");
  },
);

describe("an item that cannot be restored is named and left, the next start is undone first, and restoring can be completed later", () => {
  test.each<[LoaderName, string, object, Change, Change]>([
    [
      "GRUB",
      "our entry in custom.cfg has lost its end",
      { name: "BootStateNotRestoredError", message: expect.stringContaining(CUSTOM) },
      (machine) => edit(machine, CUSTOM, (text) => text.replace(/# <<<.*\n/, "")),
      (machine) => machine.unlink(CUSTOM),
    ],
    [
      "BootNext",
      "BootOrder is no list of entries",
      { name: "BootStateNotRestoredError", message: expect.stringContaining("BootOrder") },
      (machine) => putVariable(machine, "BootOrder", 2, 0, 0, 0, 1),
      (machine) => putVariable(machine, "BootOrder", 2, 0, 0, 0),
    ],
    ...(["BootNext", "systemd-boot"] as const).map((name): [LoaderName, string, object, Change, Change] => [
      name,
      "the ESP is not mounted",
      { name: "VolumeNotMountedError" },
      async (machine) => {
        await machine.put("/mounts", (await machine.contents("/proc/self/mountinfo")) ?? "");
        await unmount("/boot/efi")(machine);
      },
      (machine) => machine.rename("/mounts", "/proc/self/mountinfo"),
    ]),
  ])("%s: %s", async (name, _, error, change, repair) => {
    const { machine, adapter, saved, image } = await staged(name);
    await adapter.arm(saved, image);
    await change(machine);
    await expect(adapter.restore(saved)).rejects.toMatchObject(error);
    await withoutWriting(machine, () => expect(adapter.restore(saved)).rejects.toMatchObject(error));
    await repair(machine);
    const [nextStart] = (await adapter.attest(saved)).items;
    expect(nextStart?.outcome).toBe("equal");
    expect((await adapter.restore(saved)).outcome).toBe("equal");
  });
});

async function edit(machine: RootedMachine, path: string, change: (text: string) => string): Promise<void> {
  await machine.put(path, change(await readFile(machine.at(path), "utf8")));
}
