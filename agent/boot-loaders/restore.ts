import { BootStateNotRestoredError } from "#shared/errors.ts";
import type { BootMachine } from "../machine/boot-machine.ts";
import { draftOf, eraseFile, replaceFile } from "../machine/durable.ts";
import { EFI_ATTRIBUTE_BYTES } from "../machine/system.ts";
import { type Attestation, attestBootState, requireVariables } from "./attest.ts";
import { BOOT_ENTRY } from "./firmware.ts";
import { isOwnLoadOption } from "./load-option.ts";
import { variablePath } from "./save.ts";
import { hasOwnAttributes, type SavedBootState, type SavedItem } from "./saved-state.ts";
import type { VolumeMap } from "./volumes.ts";

/** The one is never written; the other only Windows itself can give back, after its return. */
const NOT_OURS: ReadonlySet<string> = new Set(["watched-file", "boot-configuration"]);

/**
 * Gives back every file, folder and variable as it was saved: bytes, permissions, owner and time, or absence.
 * Needs no boot loader and no knowledge of which it is, so the boot environment calls it with its own mount
 * points. May be interrupted at any instant and called again, any number of times. Returns the comparison
 * made afterwards; throws `BootStateNotRestoredError` if something that was touched still differs.
 */
export async function restoreBootState(
  saved: SavedBootState,
  machine: BootMachine,
  volumes: VolumeMap,
): Promise<Attestation> {
  const context = { saved, machine, volumes };
  for (const item of saved.items) await restoreItem(item, context);
  // Giving back files changes the times of the folders they are in.
  for (const item of saved.items) {
    if (item.kind === "folder") await restoreAttributes(item, context);
  }
  const attestation = await attestBootState(saved, machine, volumes);
  const wrong = attestation.items.filter((item) => !item.equal && !NOT_OURS.has(item.kind));
  if (wrong.length > 0) throw new BootStateNotRestoredError(wrong.map(({ name }) => name));
  return attestation;
}

interface Context {
  saved: SavedBootState;
  machine: BootMachine;
  volumes: VolumeMap;
}

async function restoreItem(item: SavedItem, context: Context): Promise<void> {
  if (item.kind === "variable") return restoreVariable(item, context);
  if (item.kind === "file") return restoreFile(item, context);
  if (item.kind !== "folder" || item.before) return;
  await context.machine.removeFolder(context.volumes.pathOf(item.location));
}

async function restoreVariable(
  { name, before }: Extract<SavedItem, { kind: "variable" }>,
  { machine }: Context,
): Promise<void> {
  await requireVariables(machine);
  const path = variablePath(name);
  const current = await machine.contents(path);
  if (!before) {
    // Firmware may have given the number to an entry of its own since the machine was armed.
    const isAnothers =
      current && BOOT_ENTRY.test(name) && !isOwnLoadOption(current.subarray(EFI_ATTRIBUTE_BYTES));
    return isAnothers ? undefined : machine.deleteVariable(path);
  }
  const bytes = Buffer.from(before.bytesBase64, "base64");
  // The firmware's memory wears out: not written where it is right.
  if (!current?.equals(bytes)) await machine.writeVariable(path, bytes);
}

async function restoreFile(item: Extract<SavedItem, { kind: "file" }>, context: Context): Promise<void> {
  const { machine, volumes } = context;
  const { before, inPlace, secret } = item;
  const path = volumes.pathOf(item.location);
  await eraseFile(machine, draftOf(path), secret);
  if (!before) return eraseFile(machine, path, secret);
  const bytes = Buffer.from(before.contentBase64, "base64");
  const status = await machine.status(path);
  const current = status?.kind === "file" ? await machine.contents(path) : undefined;
  if (!current?.equals(bytes)) {
    if (inPlace && current?.length === bytes.length) await machine.overwrite(path, bytes);
    else await replaceFile(machine, path, bytes, { mode: before.mode });
  }
  await restoreAttributes(item, context);
}

async function restoreAttributes(
  item: Extract<SavedItem, { kind: "file" | "folder" }>,
  { saved, machine, volumes }: Context,
): Promise<void> {
  const path = volumes.pathOf(item.location);
  const status = await machine.status(path);
  if (!item.before || !status) return;
  const modifiedNs = BigInt(item.before.modifiedNs);
  const { mode, uid, gid } = hasOwnAttributes(saved, item) ? item.before : status;
  const same =
    status.mode === mode && status.uid === uid && status.gid === gid && status.modifiedNs === modifiedNs;
  if (!same) await machine.setAttributes(path, { mode, uid, gid, modifiedNs });
}
