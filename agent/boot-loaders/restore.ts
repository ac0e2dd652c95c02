import { BootStateNotRestoredError } from "#shared/errors.ts";
import type { BootMachine, FileAttributes } from "../machine/boot-machine.ts";
import { draftOf, eraseFile, replaceFile } from "../machine/durable.ts";
import {
  type Attestation,
  attestBootState,
  othersChangedFolder,
  remainderOf,
  type SavedOn,
} from "./attest.ts";
import { isSame } from "./own-part.ts";
import type { SavedBootState, SavedItem, SavedItemOf } from "./saved-state.ts";
import type { VolumeMap } from "./volumes.ts";

/**
 * Takes back what arming wrote: files, folders and variables are as they were saved, but for what others
 * changed since, which stays. Needs no boot loader and no knowledge of which it is, so the boot environment
 * calls it with its own mount points. May be interrupted at any instant and called again, any number of
 * times. Returns the comparison made afterwards; throws `BootStateNotRestoredError` if something of ours is
 * left.
 */
export async function restoreBootState(
  saved: SavedBootState,
  machine: BootMachine,
  volumes: VolumeMap,
): Promise<Attestation> {
  const context = { saved, machine, volumes };
  for (const item of saved.items) await restoreItem(item, context);
  // Restoring files changes the times of the folders that contain them.
  for (const item of saved.items) if (item.kind === "folder") await restoreFolderTime(item, context);
  const attestation = await attestBootState(saved, machine, volumes);
  // Only Windows itself can restore its boot configuration, after its return.
  const wrong = attestation.items.filter(
    ({ outcome, kind }) => outcome === "different" && kind !== "boot-configuration",
  );
  if (wrong.length > 0) throw new BootStateNotRestoredError(wrong.map(({ name }) => name));
  return attestation;
}

/** Undoes only what makes the next start special: the first item. */
export async function restoreNextStart({ saved, machine, volumes }: SavedOn): Promise<void> {
  const [first] = saved.items;
  if (first) await restoreItem(first, { saved, machine, volumes });
}

async function restoreItem(item: SavedItem, context: SavedOn): Promise<void> {
  if (item.kind === "variable") return restoreVariable(item, context);
  if (item.kind === "file") return restoreFile(item, context);
  if (item.kind !== "folder" || item.before) return;
  await context.machine.removeFolder(context.volumes.pathOf(item.location));
}

async function restoreVariable(item: SavedItemOf<"variable">, context: SavedOn): Promise<void> {
  const { path, now, remainder } = await remainderOf(item, context);
  // The firmware's memory wears out, so a correct value is not written again.
  if (remainder === "unclear" || isSame(remainder.bytes, now)) return;
  if (remainder.bytes) await context.machine.writeVariable(path, remainder.bytes);
  else await context.machine.deleteVariable(path);
}

async function restoreFile(item: SavedItemOf<"file">, context: SavedOn): Promise<void> {
  const { machine, volumes } = context;
  const place = volumes.pathOf(item.location);
  await eraseFile(machine, draftOf(place), item.secret);
  if (item.format === "own") return eraseFile(machine, place, item.secret);
  const { path, status, now, remainder } = await remainderOf(item, context);
  if (remainder === "unclear" || !status) return;
  const { bytes } = remainder;
  if (!bytes) return eraseFile(machine, path, false);
  // If others changed it last, the time is theirs; their permissions and owner stay in any case.
  const isAsBefore =
    item.before !== undefined && bytes.equals(Buffer.from(item.before.contentBase64, "base64"));
  const modifiedNs = item.before && isAsBefore ? BigInt(item.before.modifiedNs) : status.modifiedNs;
  const attributes: FileAttributes = { ...status, modifiedNs };
  if (!isSame(bytes, now)) {
    if (item.format !== "grub-environment")
      return replaceFile(machine, path, bytes, { mode: status.mode, attributes });
    await machine.overwrite(path, bytes);
  }
  await setTime(machine, path, attributes);
}

async function restoreFolderTime(item: SavedItemOf<"folder">, context: SavedOn): Promise<void> {
  const { machine, volumes } = context;
  if (!item.before || (await othersChangedFolder(item, context))) return;
  const path = volumes.pathOf(item.location);
  const status = await machine.status(path);
  if (status) await setTime(machine, path, { ...status, modifiedNs: BigInt(item.before.modifiedNs) });
}

async function setTime(machine: BootMachine, path: string, attributes: FileAttributes): Promise<void> {
  const status = await machine.status(path);
  if (status?.modifiedNs !== attributes.modifiedNs) await machine.setAttributes(path, attributes);
}
