import { lstat, readdir, readFile, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { BootMachine } from "../machine/boot-machine.ts";
import { EFI_VARIABLES } from "../machine/system.ts";
import type { BootLoaderAdapter } from "./adapter.ts";
import { BootNext } from "./boot-next.ts";
import { Grub } from "./grub.ts";
import { decodeGrubEnvironment, grubVariable } from "./grub-environment.ts";
import { decodeLoadOption } from "./load-option.ts";
import { restoreBootState } from "./restore.ts";
import { SystemdBoot } from "./systemd-boot.ts";
import type { TestImage } from "./testing/boot-image.ts";
import { imageOf, JOB_ID, OVERLAY, probeUsable, saveState, stageAndArm } from "./testing/cold-clone.ts";
import { createFakeMachine, type RootedMachine } from "./testing/fake-machine.ts";
import { installGrub } from "./testing/grub-installation.ts";
import { CUTS, type Cut, InterruptedMachine, PowerLost } from "./testing/power-cut.ts";
import { installSystemdBoot } from "./testing/systemd-boot-installation.ts";
import { readVolumes } from "./volumes.ts";

interface Loader {
  create(): Promise<RootedMachine>;
  adapter(machine: BootMachine): BootLoaderAdapter;
  /**
   * What the next start leads to, by this boot loader's rules; throws if it would lead to something
   * incomplete.
   */
  nextStart(machine: RootedMachine): Promise<"original" | "boot-environment">;
}

const GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const ONE_SHOT = `${EFI_VARIABLES}/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f`;

const LOADERS: Record<string, Loader> = {
  "GRUB, with a custom.cfg of its owner": {
    create: () => grubMachine("menuentry 'Mine' {\n}\n"),
    adapter: (machine) => new Grub(machine),
    nextStart: nextStartOfGrub,
  },
  "GRUB, without one": {
    create: () => grubMachine(undefined),
    adapter: (machine) => new Grub(machine),
    nextStart: nextStartOfGrub,
  },
  BootNext: {
    create: () => createFakeMachine({ firmware: "uefi" }),
    adapter: (machine) => new BootNext(machine),
    nextStart: nextStartOfFirmware,
  },
  "systemd-boot": {
    create: async () => {
      const machine = await createFakeMachine({ firmware: "uefi" });
      await installSystemdBoot(machine);
      return machine;
    },
    adapter: (machine) => new SystemdBoot(machine),
    nextStart: nextStartOfSystemdBoot,
  },
};

const machines: RootedMachine[] = [];
afterEach(async () => {
  for (const { root } of machines.splice(0)) await rm(root, { recursive: true, force: true });
});

describe.each(Object.entries(LOADERS))("with %s", (_, { create, adapter, nextStart }) => {
  test.each(CUTS)(
    "a power cut at any step of arming (%s written) leaves the original system or a whole boot environment next, and restores",
    async (cut) => {
      const machine = await start(create);
      const before = await snapshot(machine);
      const outcomes = new Set<string>();
      for (let step = 1, done = false; !done; step++) {
        done = await tryToArm(machine, { adapter, step, cut });
        outcomes.add(await nextStart(machine));
        const saved = await savedBefore(machine);
        await restoreBootState(saved, machine, await readVolumes(machine));
        expect(await nextStart(machine)).toBe("original");
        expect(await snapshot(machine)).toEqual(before);
      }
      expect(outcomes).toContain("boot-environment");
    },
  );

  test.each(CUTS)("restoring again cures a power cut at any step of restoring (%s written)", async (cut) => {
    const machine = await start(create);
    const before = await snapshot(machine);
    for (let step = 1, done = false; !done; step++) {
      await tryToArm(machine, { adapter, step: Number.POSITIVE_INFINITY, cut });
      expect(await nextStart(machine)).toBe("boot-environment");
      const saved = await savedBefore(machine);
      const volumes = await readVolumes(machine);
      done = await survives(() =>
        restoreBootState(saved, new InterruptedMachine(machine, step, cut), volumes),
      );
      // From the first step that undoes the one-shot, the original system starts; before it, the boot
      // environment does, once more.
      await nextStart(machine);
      expect((await restoreBootState(saved, machine, volumes)).outcome).toBe("equal");
      expect(await nextStart(machine)).toBe("original");
      expect(await snapshot(machine)).toEqual(before);
    }
  });
});

const images = new WeakMap<RootedMachine, TestImage>();
const savedStates = new WeakMap<RootedMachine, Awaited<ReturnType<BootLoaderAdapter["save"]>>>();

async function start(create: () => Promise<RootedMachine>): Promise<RootedMachine> {
  const machine = await create();
  machines.push(machine);
  images.set(machine, await imageOf(machine));
  await utimes(machine.at("/boot"), 1_600_000_000, 1_600_000_000);
  return machine;
}

async function savedBefore(machine: RootedMachine) {
  const saved = savedStates.get(machine);
  if (!saved) throw new Error("nothing was saved");
  return saved;
}

/** Saves, stages and arms; returns whether it finished. */
async function tryToArm(
  machine: RootedMachine,
  { adapter, step, cut }: { adapter: Loader["adapter"]; step: number; cut: Cut },
): Promise<boolean> {
  const whole = adapter(machine);
  const loader = await probeUsable(whole);
  const saved = await saveState(whole);
  savedStates.set(machine, saved);
  const image = images.get(machine) ?? (await imageOf(machine));
  const interrupted = new InterruptedMachine(machine, step, cut);
  return survives(() => stageAndArm(interrupted, { adapter: adapter(interrupted), saved, loader, image }));
}

async function survives(run: () => Promise<unknown>): Promise<boolean> {
  try {
    await run();
    return true;
  } catch (error) {
    if (error instanceof PowerLost) return false;
    throw error;
  }
}

async function grubMachine(custom: string | undefined): Promise<RootedMachine> {
  const machine = await createFakeMachine({ firmware: "bios" });
  await installGrub(machine, custom === undefined ? {} : { custom });
  return machine;
}

/** Everything that a boot loader or a person could find: names, bytes, permissions, owners, times. */
async function snapshot(machine: RootedMachine): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const folder of ["/boot", EFI_VARIABLES]) {
    const root = machine.at(folder);
    const names = await readdir(root, { recursive: true }).catch(() => []);
    for (const name of ["", ...names]) {
      const status = await lstat(join(root, name), { bigint: true }).catch(() => undefined);
      if (!status) continue;
      const bytes = status.isFile() ? (await readFile(join(root, name))).toString("base64") : "folder";
      // Variables have no times.
      const time = folder === "/boot" ? status.mtimeNs : "";
      found[join(folder, name)] = `${status.mode} ${status.uid} ${status.gid} ${time} ${bytes}`;
    }
  }
  return found;
}

async function nextStartOfGrub(machine: RootedMachine) {
  const block = decodeGrubEnvironment(await readFile(machine.at("/boot/grub/grubenv")));
  if (!block) throw new Error("grubenv is damaged");
  expect(grubVariable(block, "saved_entry")).toBe("gnulinux-simple");
  const next = grubVariable(block, "next_entry");
  if (!next) return "original";
  const custom = await readFile(machine.at("/boot/grub/custom.cfg"), "utf8");
  expect(custom).toContain(`--id ${next} {`);
  expect(custom).toContain("}\n# <<< Causeway <<<\n");
  await expectStaged(machine, `/boot/causeway/${JOB_ID}`);
  return "boot-environment";
}

async function nextStartOfFirmware(machine: RootedMachine) {
  const value = async (name: string) =>
    (await machine.contents(`${EFI_VARIABLES}/${name}-${GLOBAL}`))?.subarray(4);
  const order = (await value("BootOrder")) ?? Buffer.alloc(0);
  // The first entry that is tried stays the same.
  expect(order.subarray(0, 4)).toEqual(Buffer.from([2, 0, 0, 0]));
  const next = await value("BootNext");
  if (!next) return "original";
  const number = next.readUInt16LE(0).toString(16).toUpperCase().padStart(4, "0");
  const option = decodeLoadOption((await value(`Boot${number}`)) ?? Buffer.alloc(0));
  expect(option?.path).toContainEqual({ kind: "file", path: `\\EFI\\causeway\\${JOB_ID}\\causeway.efi` });
  const image = await machine.contents(`/boot/efi/EFI/causeway/${JOB_ID}/causeway.efi`);
  expect(image?.includes(OVERLAY)).toBe(true);
  return "boot-environment";
}

async function nextStartOfSystemdBoot(machine: RootedMachine) {
  const entries = await machine.list("/boot/efi/loader/entries");
  // The default is the last by name, which new versions list first.
  expect(entries.filter((name) => name.endsWith(".conf")).at(-1)).toBe("debian.conf");
  const next = (await machine.contents(ONE_SHOT))?.toString("utf16le", 4).replace("\0", "");
  if (!next) return "original";
  const entry = await readFile(machine.at(`/boot/efi/loader/entries/${next}`), "utf8");
  expect(entry.split("\n").at(-2)).toMatch(/^options .*causeway\.job=1$/);
  await expectStaged(machine, `/boot/efi/causeway/${JOB_ID}`);
  return "boot-environment";
}

async function expectStaged(machine: RootedMachine, folder: string): Promise<void> {
  expect((await machine.status(`${folder}/vmlinuz`))?.sizeBytes).toBe(5000);
  expect((await machine.status(`${folder}/initrd.zst`))?.sizeBytes).toBe(9000);
  expect(await machine.contents(`${folder}/overlay.cpio`)).toEqual(OVERLAY);
}
