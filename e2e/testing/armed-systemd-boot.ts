/**
 * The files that our adapters write on a machine with systemd-boot, with a test program instead of the
 * kernel.
 */
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { BootNext } from "#agent/boot-loaders/boot-next.ts";
import { encodeLoadOption } from "#agent/boot-loaders/load-option.ts";
import { SystemdBoot } from "#agent/boot-loaders/systemd-boot.ts";
import { imageOf, probeUsable, saveState, stageAndArm } from "#agent/boot-loaders/testing/cold-clone.ts";
import { efiProgramThatSays } from "#agent/boot-loaders/testing/efi-words.ts";
import {
  createFakeMachine,
  ESP_PARTITION_UUID,
  type RootedMachine,
} from "#agent/boot-loaders/testing/fake-machine.ts";
import { installSystemdBoot } from "#agent/boot-loaders/testing/systemd-boot-installation.ts";
import { EFI_VARIABLES } from "#agent/machine/system.ts";
import type { UefiVariable } from "../machines/disk/uefi-variables.ts";

export type ArmedKind = "systemd-boot" | "boot-next";

const ESP = "/boot/efi";
const GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/** What the adapters start, of either form. */
const KERNEL = /\/(vmlinuz|causeway\.efi)$/;
const KEPT_BY_FIRMWARE = /^(BootOrder|BootNext|Boot[0-9A-F]{4}|LoaderEntryOneShot|LoaderEntryLastBooted)-/;
const LAST_BOOTED = "LoaderEntryLastBooted-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/**
 * `files`: the original system's, from the root of the EFI system partition. `entry`: the one that started
 * it.
 */
export async function armedSystemdBoot(
  kind: ArmedKind,
  files: Readonly<Record<string, string | Buffer>>,
  entry: string,
): Promise<{ files: Record<string, Buffer>; variables: UefiVariable[] }> {
  const machine = await createFakeMachine({ firmware: "uefi" });
  try {
    await installSystemdBoot(machine);
    await rm(machine.at(`${ESP}/loader`), { recursive: true });
    for (const [name, content] of Object.entries(files)) await machine.put(`${ESP}/${name}`, content, 0o700);
    await putOwnEntry(machine);
    await machine.putVariable(LAST_BOOTED, Buffer.from(`${entry}\0`, "utf16le"));
    const adapter = kind === "boot-next" ? new BootNext(machine) : new SystemdBoot(machine);
    const [loader, saved] = [await probeUsable(adapter), await saveState(adapter)];
    await stageAndArm(machine, { adapter, saved, loader, image: await imageOf(machine) });
    return { files: await espOf(machine), variables: await variablesOf(machine) };
  } finally {
    await rm(machine.root, { recursive: true, force: true });
  }
}

/** The firmware starts systemd-boot from the place for removable media. */
async function putOwnEntry(machine: RootedMachine): Promise<void> {
  const signature = { format: "gpt", guid: ESP_PARTITION_UUID } as const;
  const option = encodeLoadOption({
    ...{ active: true, hidden: false, otherAttributes: 0, label: "Linux", optionalData: Buffer.alloc(0) },
    path: [
      { kind: "hard-drive", partition: { number: 1, startBlock: 2048n, blocks: 16384n, signature } },
      { kind: "file", path: "\\EFI\\BOOT\\BOOTX64.EFI" },
    ],
  });
  await machine.putVariable(`Boot0000-${GLOBAL}`, option);
  await machine.putVariable(`BootOrder-${GLOBAL}`, Buffer.from([0, 0]));
  await machine.deleteVariable(`${EFI_VARIABLES}/Boot0002-${GLOBAL}`);
}

async function espOf(machine: RootedMachine): Promise<Record<string, Buffer>> {
  const files: Record<string, Buffer> = {};
  for (const name of await readdir(machine.at(ESP), { recursive: true })) {
    const path = join(machine.at(ESP), name);
    if ((await stat(path)).isDirectory()) continue;
    files[name] = KERNEL.test(`/${name}`) ? efiProgramThatSays("ours") : await readFile(path);
  }
  return files;
}

async function variablesOf(machine: RootedMachine): Promise<UefiVariable[]> {
  const names = (await machine.list(EFI_VARIABLES)).filter((name) => KEPT_BY_FIRMWARE.test(name));
  return Promise.all(
    names.map(async (file) => {
      const [name = "", vendor = ""] = [file.slice(0, -37), file.slice(-36)];
      return { name, vendor, value: (await readFile(machine.at(`${EFI_VARIABLES}/${file}`))).subarray(4) };
    }),
  );
}
