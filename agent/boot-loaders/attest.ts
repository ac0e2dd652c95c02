import { VolumeNotMountedError } from "#shared/errors.ts";
import type { BootReceiptItem, BootStateItem } from "#shared/protocol/boot-receipt.ts";
import type { BootMachine } from "../machine/boot-machine.ts";
import { draftOf } from "../machine/durable.ts";
import { EFI_VARIABLES } from "../machine/system.ts";
import { sha256, variablePath } from "./save.ts";
import { hasOwnAttributes, hasOwnTime, nameOf, type SavedBootState, type SavedItem } from "./saved-state.ts";
import type { VolumeMap } from "./volumes.ts";

/** What a machine's boot state is now, beside what it was: the items of a boot receipt. */
export interface Attestation {
  /** All items are as they were. */
  equal: boolean;
  items: BootReceiptItem[];
}

/** Node sets times no finer where GNU `touch` is missing. */
const TIME_TOLERANCE_NS = 1000n;

/** Reads everything again and compares it with what was saved. Changes nothing. */
export async function attestBootState(
  saved: SavedBootState,
  machine: BootMachine,
  volumes: VolumeMap,
): Promise<Attestation> {
  const items: BootReceiptItem[] = [];
  for (const item of saved.items) {
    const before = stateBefore(item);
    const after = await stateNow(item, machine, volumes);
    const attributes = hasOwnAttributes(saved, item) && { withTime: hasOwnTime(item) };
    const equal = isEqual(before, after, attributes);
    items.push({ kind: item.kind, name: nameOf(saved, item), before, after, equal });
  }
  return { equal: items.every((item) => item.equal), items };
}

function stateBefore(item: SavedItem): BootStateItem {
  if (!item.before) return { present: false };
  if (!("location" in item)) return { present: true, sha256: item.before.sha256 };
  const { mode, uid, gid, modifiedNs } = item.before;
  const attributes = { present: true, mode, uid, gid, modifiedNs } as const;
  if (!("sha256" in item.before)) return attributes;
  return { ...attributes, sizeBytes: item.before.sizeBytes, sha256: item.before.sha256 };
}

async function stateNow(item: SavedItem, machine: BootMachine, volumes: VolumeMap): Promise<BootStateItem> {
  if (item.kind === "variable") {
    await requireVariables(machine);
    const bytes = await machine.contents(variablePath(item.name));
    return bytes ? { present: true, sha256: sha256(bytes) } : { present: false };
  }
  // Only Windows itself can tell.
  if (item.kind === "boot-configuration") return { present: false };
  const path = volumes.pathOf(item.location);
  const status = await machine.status(path);
  // A draft beside the file is a leftover, as good as a changed file.
  const leftover = item.kind === "file" && (await machine.status(draftOf(path)));
  if (!status && !leftover) return { present: false };
  const { mode, uid, gid, modifiedNs, sizeBytes } = status ?? NO_FILE;
  const attributes = { present: true, mode, uid, gid, modifiedNs: String(modifiedNs) } as const;
  if (item.kind === "folder" && status?.kind === "folder") return attributes;
  const hash = status?.kind === "file" && !leftover ? await machine.hash(path) : undefined;
  return { ...attributes, sizeBytes, ...(hash && { sha256: hash }) };
}

/**
 * Where the firmware's variables are not mounted, all of them look absent. Throws `VolumeNotMountedError`.
 */
export async function requireVariables(machine: BootMachine): Promise<void> {
  if ((await machine.list(EFI_VARIABLES)).length === 0)
    throw new VolumeNotMountedError("efivarfs", EFI_VARIABLES);
}

const NO_FILE = { mode: 0, uid: 0, gid: 0, modifiedNs: 0n, sizeBytes: 0 };

/** `attributes`: also by owner and permissions, and perhaps by time. */
function isEqual(
  before: BootStateItem,
  after: BootStateItem,
  attributes: { withTime: boolean } | false,
): boolean {
  if (!before.present || !after.present) return before.present === after.present;
  if (before.sha256 !== after.sha256 || before.sizeBytes !== after.sizeBytes) return false;
  if (!attributes) return true;
  const { mode, uid, gid, modifiedNs } = before;
  if (mode !== after.mode || uid !== after.uid || gid !== after.gid) return false;
  if (!attributes.withTime) return true;
  if (modifiedNs === undefined || after.modifiedNs === undefined) return modifiedNs === after.modifiedNs;
  const apart = BigInt(modifiedNs) - BigInt(after.modifiedNs);
  return apart < TIME_TOLERANCE_NS && apart > -TIME_TOLERANCE_NS;
}
