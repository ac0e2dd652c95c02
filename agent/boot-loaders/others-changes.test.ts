/**
 * Others write to the boot state between arming and restoring: random writers at random moments, with the
 * power cut at random steps of arming and of restoring.
 */
import { readFile, rm } from "node:fs/promises";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import type { BootMachine } from "../machine/boot-machine.ts";
import { EFI_VARIABLES } from "../machine/system.ts";
import type { BootLoaderAdapter } from "./adapter.ts";
import { BootNext } from "./boot-next.ts";
import { Grub } from "./grub.ts";
import {
  decodeGrubEnvironment,
  encodeGrubEnvironment,
  environmentVariables,
  type GrubEnvironment,
  withGrubVariable,
  withoutGrubVariable,
} from "./grub-environment.ts";
import { encodeLoadOption } from "./load-option.ts";
import { restoreBootState } from "./restore.ts";
import { SystemdBoot } from "./systemd-boot.ts";
import { imageOf, JOB_ID, probeUsable, saveState, stageAndArm } from "./testing/cold-clone.ts";
import { createFakeMachine, type RootedMachine } from "./testing/fake-machine.ts";
import { installGrub } from "./testing/grub-installation.ts";
import { InterruptedMachine, PowerLost } from "./testing/power-cut.ts";
import { installSystemdBoot } from "./testing/systemd-boot-installation.ts";
import { readVolumes } from "./volumes.ts";

const GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const ONE_SHOT = `${EFI_VARIABLES}/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f`;
const GRUBENV = "/boot/grub/grubenv";
const CUSTOM = "/boot/grub/custom.cfg";
const ENTRIES = "/boot/efi/loader/entries";

/** Something that others do to a machine. */
interface Change {
  name: string;
  make: (machine: RootedMachine) => Promise<unknown>;
}

interface Loader {
  create(): Promise<RootedMachine>;
  adapter(machine: BootMachine): BootLoaderAdapter;
  /** Lets the boot loader start what is armed. */
  start(machine: RootedMachine): Promise<unknown>;
  changes: Change[];
  /** Everything that others can write, without our part: equal before and after restoring. */
  othersPart(machine: RootedMachine): Promise<unknown>;
}

const setVariable = (name: string, value: string): Change => ({
  name: `grub-editenv set ${name}=${value.slice(0, 10)}`,
  make: (machine) => editEnvironment(machine, (now) => withGrubVariable(now, name, value)),
});

const GRUB_CHANGES: Change[] = [
  setVariable("saved_entry", "another"),
  setVariable("boot_success", "1"),
  // Moves ours over the border between two sectors.
  setVariable("saved_entry", "x".repeat(390)),
  {
    name: "grub-editenv unset",
    make: (machine) => editEnvironment(machine, (now) => withoutGrubVariable(now, "saved_entry")),
  },
  setVariable("next_entry", "theirs"),
  {
    name: "an entry behind ours",
    make: (machine) => edit(machine, CUSTOM, (text) => `${text}menuentry 'Theirs' {\n}\n`),
  },
  { name: "a line before ours", make: (machine) => edit(machine, CUSTOM, (text) => `set theirs=1\n${text}`) },
  {
    name: "our entry edited",
    make: (machine) => edit(machine, CUSTOM, (text) => text.replace("sleep 10", "sleep 1")),
  },
  {
    name: "an update of GRUB's menu",
    make: (machine) => edit(machine, "/boot/grub/grub.cfg", (text) => `${text}# updated\n`),
  },
  { name: "a file in GRUB's folder", make: (machine) => machine.put("/boot/grub/unicode.pf2", "font") },
  {
    name: "another conversion's image",
    make: (machine) => machine.put("/boot/causeway/cv-10/vmlinuz", "kernel"),
  },
];

const FIRMWARE_CHANGES: Change[] = [
  {
    name: "a new entry, first",
    make: (machine) => addEntry(machine, "0007", (order) => Buffer.concat([Buffer.from([7, 0]), order])),
  },
  {
    name: "a new entry, last",
    make: (machine) => addEntry(machine, "0008", (order) => Buffer.concat([order, Buffer.from([8, 0])])),
  },
  {
    name: "another order",
    make: (machine) => editOrder(machine, (order) => order.subarray(0, 4).swap32().swap16()),
  },
  {
    name: "another next start",
    make: (machine) => machine.putVariable(`BootNext-${GLOBAL}`, Buffer.from([2, 0])),
  },
  { name: "a file on the ESP", make: (machine) => machine.put("/boot/efi/EFI/theirs/grubx64.efi", "MZ") },
];

const SYSTEMD_CHANGES: Change[] = [
  { name: "a new entry", make: (machine) => machine.put(`${ENTRIES}/theirs.conf`, "title Theirs\n") },
  { name: "loader.conf", make: (machine) => machine.put("/boot/efi/loader/loader.conf", "timeout 9\n") },
  {
    name: "another one-shot",
    make: (machine) =>
      machine.put(
        ONE_SHOT,
        Buffer.concat([Buffer.from([7, 0, 0, 0]), Buffer.from("theirs.conf\0", "utf16le")]),
      ),
  },
];

const LOADERS: Record<string, Loader> = {
  "GRUB, with a custom.cfg of its owner": grub("menuentry 'Mine' {\n}\n"),
  "GRUB, with one whose last line has no end": grub("# mine"),
  "GRUB, without one": grub(undefined),
  BootNext: {
    create: () => createFakeMachine({ firmware: "uefi" }),
    adapter: (machine) => new BootNext(machine),
    start: async (machine) => {
      if ((await value(machine, "BootNext"))?.equals(Buffer.from([1, 0])))
        await machine.deleteVariable(`${EFI_VARIABLES}/BootNext-${GLOBAL}`);
    },
    changes: FIRMWARE_CHANGES,
    othersPart: async (machine) => ({
      order: [...((await value(machine, "BootOrder")) ?? [])].join(",").replace(/(^|,)1,0(,|$)/, "$2"),
      next: (await value(machine, "BootNext"))?.toString("hex").replace("0100", "") ?? "",
      entries: (await machine.list(EFI_VARIABLES)).filter((name) => !/^Boot(0001|Next)-/.test(name)),
      esp: (await machine.list("/boot/efi/EFI")).filter((name) => name !== "causeway"),
    }),
  },
  "systemd-boot": {
    create: async () => {
      const machine = await createFakeMachine({ firmware: "uefi" });
      await installSystemdBoot(machine);
      return machine;
    },
    adapter: (machine) => new SystemdBoot(machine),
    start: async (machine) => {
      if ((await oneShot(machine)).startsWith("_-causeway")) await machine.deleteVariable(ONE_SHOT);
    },
    changes: SYSTEMD_CHANGES,
    othersPart: async (machine) => ({
      next: (await oneShot(machine)).replace(/^_-causeway.*/, ""),
      configuration: await text(machine, "/boot/efi/loader/loader.conf"),
      entries: (await machine.list(ENTRIES)).filter((name) => !name.includes("causeway")),
    }),
  },
};

const machines: RootedMachine[] = [];
afterEach(async () => {
  for (const { root } of machines.splice(0)) await rm(root, { recursive: true, force: true });
});

describe.each(Object.entries(LOADERS))("with %s", (_, loader) => {
  test("wherever the power fails, others' changes stay, and nothing of ours is left", async () => {
    const { changes } = loader;
    await fc.assert(
      fc.asyncProperty(
        fc.subarray(changes.map((_each, index) => index)),
        fc.subarray(changes.map((_each, index) => index)),
        fc.record({ armed: fc.nat(30), restored: fc.nat(25), started: fc.boolean() }),
        async (early, late, steps) => {
          const machine = await loader.create();
          machines.push(machine);
          const saved = await arm(
            machine,
            loader,
            steps.armed === 30 ? Number.POSITIVE_INFINITY : steps.armed + 1,
          );
          for (const index of early) await changes[index]?.make(machine);
          if (steps.started) await loader.start(machine);
          const restore = (on: BootMachine) =>
            survives(async () => restoreBootState(saved, on, await readVolumes(machine)));
          let theirs = await loader.othersPart(machine);
          await restore(new InterruptedMachine(machine, steps.restored + 1, "nothing"));
          expect(await loader.othersPart(machine)).toEqual(theirs);
          for (const index of late) await changes[index]?.make(machine);
          theirs = await loader.othersPart(machine);
          const { outcome, items } = await restoreBootState(saved, machine, await readVolumes(machine));
          expect(await loader.othersPart(machine)).toEqual(theirs);
          expect(items.map((item) => item.outcome)).not.toContain("different");
          if (early.length === 0 && late.length === 0) expect(outcome).toBe("equal");
          expect(await ours(machine)).toEqual([]);
        },
      ),
      { numRuns: 8 },
    );
  });
});

function grub(custom: string | undefined): Loader {
  return {
    create: async () => {
      const machine = await createFakeMachine({ firmware: "bios" });
      await installGrub(machine, custom === undefined ? {} : { custom });
      return machine;
    },
    adapter: (machine) => new Grub(machine),
    start: (machine) =>
      editEnvironment(machine, (now) => {
        const next = now.lines.find((line) => line.toString().startsWith("next_entry=causeway-"));
        return next ? withGrubVariable(now, "next_entry", "") : now;
      }),
    changes: GRUB_CHANGES,
    othersPart: async (machine) => ({
      variables: environmentVariables(await readFile(machine.at(GRUBENV))).filter(
        ([name, now]) => name !== "next_entry" || (now !== "" && !now.startsWith("causeway")),
      ),
      custom: (await text(machine, CUSTOM))
        .replace(/\n?# >>> Causeway[\s\S]*# <<< Causeway <<<\n/, "\n")
        .trim(),
      configuration: await text(machine, "/boot/grub/grub.cfg"),
      files: (await machine.list("/boot/grub")).filter((name) => !name.includes("custom.cfg")),
      others: await machine.list("/boot/causeway/cv-10"),
    }),
  };
}

/** Everything that is named for the job, or refers to it. */
async function ours(machine: RootedMachine): Promise<string[]> {
  const places = [
    "/boot",
    "/boot/grub",
    "/boot/causeway",
    "/boot/efi/EFI",
    "/boot/efi/EFI/causeway",
    "/boot/efi/causeway",
    ENTRIES,
  ];
  const found: string[] = [];
  for (const place of places) {
    const names = await machine.list(place);
    found.push(
      ...names.filter((name) => name === JOB_ID || /causeway-/.test(name)).map((name) => `${place}/${name}`),
    );
  }
  for (const path of [GRUBENV, CUSTOM])
    if ((await text(machine, path)).includes(`causeway-${JOB_ID}`)) found.push(path);
  if (await value(machine, "Boot0001")) found.push("Boot0001");
  const order = (await value(machine, "BootOrder")) ?? Buffer.alloc(0);
  for (let at = 0; at < order.length; at += 2) if (order.readUInt16LE(at) === 1) found.push("BootOrder");
  if ((await oneShot(machine)).includes("causeway")) found.push("LoaderEntryOneShot");
  return found;
}

async function arm(machine: RootedMachine, { adapter }: Loader, step: number) {
  const whole = adapter(machine);
  const loader = await probeUsable(whole);
  const saved = await saveState(whole);
  const interrupted = new InterruptedMachine(machine, step, "nothing");
  const image = await imageOf(machine);
  await survives(() => stageAndArm(interrupted, { adapter: adapter(interrupted), saved, loader, image }));
  return saved;
}

async function survives(run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof PowerLost)) throw error;
  }
}

async function edit(machine: RootedMachine, path: string, change: (text: string) => string): Promise<void> {
  await machine.put(path, change(await text(machine, path)));
}

async function editEnvironment(
  machine: RootedMachine,
  change: (now: GrubEnvironment) => GrubEnvironment,
): Promise<void> {
  const now = decodeGrubEnvironment(await readFile(machine.at(GRUBENV)));
  if (!now) throw new Error("grubenv is damaged");
  await machine.overwrite(GRUBENV, encodeGrubEnvironment(change(now)));
}

async function addEntry(
  machine: RootedMachine,
  number: string,
  place: (order: Buffer) => Buffer,
): Promise<void> {
  const option = { active: true, hidden: false, otherAttributes: 0, label: "Theirs", path: [] };
  const bytes = encodeLoadOption({ ...option, optionalData: Buffer.alloc(0) });
  await machine.putVariable(`Boot${number}-${GLOBAL}`, bytes);
  await editOrder(machine, place);
}

async function editOrder(machine: RootedMachine, change: (order: Buffer) => Buffer): Promise<void> {
  await machine.putVariable(
    `BootOrder-${GLOBAL}`,
    change((await value(machine, "BootOrder")) ?? Buffer.alloc(0)),
  );
}

async function value(machine: RootedMachine, name: string): Promise<Buffer | undefined> {
  return (await machine.contents(`${EFI_VARIABLES}/${name}-${GLOBAL}`))?.subarray(4);
}

async function oneShot(machine: RootedMachine): Promise<string> {
  return (await machine.contents(ONE_SHOT))?.toString("utf16le", 4).replace("\0", "") ?? "";
}

async function text(machine: RootedMachine, path: string): Promise<string> {
  return (await machine.contents(path))?.toString() ?? "";
}
