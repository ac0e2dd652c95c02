import { BootStateNotRestoredError } from "#shared/errors.ts";
import { type Attestation, attestBootState } from "./attest.ts";
import { draftOf, eraseFile, replaceFile } from "./durable.ts";
import type { BootMachine, FileAttributes } from "./machine.ts";
import { variablePath } from "./save.ts";
import type { SavedBootState, SavedItem } from "./saved-state.ts";
import type { VolumeMap } from "./volumes.ts";

/** The one is never written; the other only Windows itself can give back, after its return. */
const NOT_OURS: ReadonlySet<string> = new Set(["watched-file", "boot-configuration"]);

/**
 * Gives back every file, folder and variable as it was saved: bytes, permissions, owner and time, or absence. Needs no boot loader and no
 * knowledge of which it is, so the boot environment calls it with its own mount points. May be interrupted at any instant and called again, any
 * number of times. Returns the comparison made afterwards; throws `BootStateNotRestoredError` if something that was touched still differs.
 */
export async function restoreBootState(
  saved: SavedBootState,
  machine: BootMachine,
  volumes: VolumeMap,
): Promise<Attestation> {
  for (const item of saved.items) await restoreItem(item, machine, volumes);
  // Giving back files changes the times of the folders they are in.
  for (const item of saved.items) {
    if (item.kind === "folder") await restoreFolderAttributes(item, machine, volumes);
  }
  const attestation = await attestBootState(saved, machine, volumes);
  const wrong = attestation.items.filter((item) => !item.equal && !NOT_OURS.has(item.kind));
  if (wrong.length > 0) throw new BootStateNotRestoredError(wrong.map(({ name }) => name));
  return attestation;
}

async function restoreItem(item: SavedItem, machine: BootMachine, volumes: VolumeMap): Promise<void> {
  if (item.kind === "variable") return restoreVariable(item, machine);
  if (item.kind === "watched-file" || item.kind === "boot-configuration") return;
  const path = volumes.pathOf(item.location);
  if (item.kind === "file") return restoreFile(item, path, machine);
  if (!item.before) await machine.removeFolder(path);
}

async function restoreVariable(
  { name, before }: Extract<SavedItem, { kind: "variable" }>,
  machine: BootMachine,
): Promise<void> {
  const path = variablePath(name);
  if (!before) return machine.deleteVariable(path);
  const bytes = Buffer.from(before.bytesBase64, "base64");
  const current = await machine.contents(path);
  // The firmware's memory wears out: not written where it is right.
  if (!current?.equals(bytes)) await machine.writeVariable(path, bytes);
}

async function restoreFile(
  { before, inPlace, secret }: Extract<SavedItem, { kind: "file" }>,
  path: string,
  machine: BootMachine,
): Promise<void> {
  await eraseFile(machine, draftOf(path), secret);
  if (!before) return eraseFile(machine, path, secret);
  const bytes = Buffer.from(before.contentBase64, "base64");
  const attributes = attributesOf(before);
  const status = await machine.status(path);
  const current = status?.kind === "file" ? await machine.contents(path) : undefined;
  if (!current?.equals(bytes)) {
    if (!inPlace || current?.length !== bytes.length) {
      return replaceFile(machine, path, bytes, { mode: before.mode, attributes });
    }
    await machine.overwrite(path, bytes);
  }
  await restoreAttributes(path, attributes, machine);
}

async function restoreFolderAttributes(
  { location, before }: Extract<SavedItem, { kind: "folder" }>,
  machine: BootMachine,
  volumes: VolumeMap,
): Promise<void> {
  const path = volumes.pathOf(location);
  if (before && (await machine.status(path))) await restoreAttributes(path, attributesOf(before), machine);
}

async function restoreAttributes(
  path: string,
  attributes: FileAttributes,
  machine: BootMachine,
): Promise<void> {
  const status = await machine.status(path);
  const { mode, uid, gid, modifiedNs } = attributes;
  const same =
    status?.mode === mode && status.uid === uid && status.gid === gid && status.modifiedNs === modifiedNs;
  if (!same) await machine.setAttributes(path, attributes);
}

function attributesOf(before: {
  mode: number;
  uid: number;
  gid: number;
  modifiedNs: string;
}): FileAttributes {
  return { mode: before.mode, uid: before.uid, gid: before.gid, modifiedNs: BigInt(before.modifiedNs) };
}
