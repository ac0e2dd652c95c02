import { VolumeNotMountedError } from "#shared/errors.ts";
import {
  type BootReceiptItem,
  type BootStateItem,
  type BootStateOutcome,
  MAX_VARIABLE_NAME,
  MAX_VARIABLES,
  worstOutcome,
} from "#shared/protocol/boot-receipt.ts";
import type { BootMachine } from "../machine/boot-machine.ts";
import { draftOf } from "../machine/durable.ts";
import { EFI_VARIABLES } from "../machine/system.ts";
import { changedVariables } from "./grub-environment.ts";
import { isSame, isSameEntry, withoutOwnPart } from "./own-part.ts";
import { sha256, variablePath } from "./save.ts";
import {
  hasOwnAttributes,
  hasOwnTime,
  nameOf,
  othersNames,
  type SavedBootState,
  type SavedItem,
  type SavedItemOf,
} from "./saved-state.ts";
import type { VolumeMap } from "./volumes.ts";

/** A machine's boot state now, compared with the saved one: the items of a boot receipt. */
export interface Attestation {
  /** The worst of the items' outcomes. */
  outcome: BootStateOutcome;
  items: BootReceiptItem[];
}

/** A saved state, and the machine that it belongs to, with its file systems mounted somewhere. */
export interface SavedOn {
  saved: SavedBootState;
  machine: BootMachine;
  volumes: VolumeMap;
}

/** Node cannot set times more finely if GNU `touch` is missing. */
const TIME_TOLERANCE_NS = 1000n;

/** Reads everything again and compares it with what was saved. Changes nothing. */
export async function attestBootState(
  saved: SavedBootState,
  machine: BootMachine,
  volumes: VolumeMap,
): Promise<Attestation> {
  const context = { saved, machine, volumes };
  const items: BootReceiptItem[] = [];
  for (const item of saved.items) {
    const before = stateBefore(item);
    const after = await stateNow(item, context);
    const attributes = hasOwnAttributes(saved, item) && { withTime: hasOwnTime(item) };
    const equal = isEqual(before, after, attributes);
    const outcome = equal ? "equal" : await outcomeOf(item, { before, after }, context);
    const variables = outcome === "changed-by-others" ? await variablesOf(item, context) : [];
    const named = variables.length > 0 ? { variables } : {};
    items.push({ kind: item.kind, name: nameOf(saved, item), before, after, outcome, ...named });
  }
  return { outcome: worstOutcome(items), items };
}

/** Which variables others changed, of GRUB's environment block. */
async function variablesOf(item: SavedItem, { machine, volumes }: SavedOn): Promise<string[]> {
  if (item.kind !== "file" || item.format !== "grub-environment" || !item.before) return [];
  const now = await machine.contents(volumes.pathOf(item.location));
  const changed = now ? changedVariables(Buffer.from(item.before.contentBase64, "base64"), now) : [];
  return changed.map(([name]) => name.slice(0, MAX_VARIABLE_NAME)).slice(0, MAX_VARIABLES);
}

function stateBefore(item: SavedItem): BootStateItem {
  if (!item.before) return { present: false };
  if (!("location" in item)) return { present: true, sha256: item.before.sha256 };
  const { mode, uid, gid, modifiedNs } = item.before;
  const attributes = { present: true, mode, uid, gid, modifiedNs } as const;
  if (!("sha256" in item.before)) return attributes;
  return { ...attributes, sizeBytes: item.before.sizeBytes, sha256: item.before.sha256 };
}

/** An item as it is on the machine. */
export async function stateNow(item: SavedItem, { machine, volumes }: SavedOn): Promise<BootStateItem> {
  if (item.kind === "variable") {
    await requireVariables(machine);
    const bytes = await machine.contents(variablePath(item.name));
    return bytes ? { present: true, sha256: sha256(bytes) } : { present: false };
  }
  // Only Windows itself can read it.
  if (item.kind === "boot-configuration") return { present: false };
  const path = volumes.pathOf(item.location);
  const status = await machine.status(path);
  // A draft beside the file is a leftover, and counts as a changed file.
  const leftover = item.kind === "file" && (await machine.status(draftOf(path)));
  if (!status && !leftover) return { present: false };
  const { mode, uid, gid, modifiedNs, sizeBytes } = status ?? NO_FILE;
  const attributes = { present: true, mode, uid, gid, modifiedNs: String(modifiedNs) } as const;
  if (item.kind === "folder" && status?.kind === "folder") return attributes;
  const hash = status?.kind === "file" && !leftover ? await machine.hash(path) : undefined;
  return { ...attributes, sizeBytes, ...(hash && { sha256: hash }) };
}

/** If the firmware's variables are not mounted, all of them look absent. Throws `VolumeNotMountedError`. */
export async function requireVariables(machine: BootMachine): Promise<void> {
  if ((await machine.list(EFI_VARIABLES)).length === 0)
    throw new VolumeNotMountedError("efivarfs", EFI_VARIABLES);
}

const NO_FILE = { mode: 0, uid: 0, gid: 0, modifiedNs: 0n, sizeBytes: 0 };

/** For an item that has changed: whether any of the change is ours. */
async function outcomeOf(
  item: SavedItem,
  { before, after }: Pick<BootReceiptItem, "before" | "after">,
  context: SavedOn,
): Promise<BootStateOutcome> {
  switch (item.kind) {
    case "watched-file":
      return "changed-by-others";
    case "boot-configuration":
      return "different";
    case "variable":
      return (await hasOwnPart(item, context)) ? "different" : "changed-by-others";
    case "file": {
      const path = context.volumes.pathOf(item.location);
      if (await context.machine.status(draftOf(path))) return "different";
      if (await hasOwnPart(item, context)) return "different";
      const timeIsOurs = before.present && after.present && before.sha256 === after.sha256;
      return timeIsOurs && hasOwnTime(item) && !isSameTime(before, after) ? "different" : "changed-by-others";
    }
    case "folder": {
      if (await othersChangedFolder(item, context)) return "changed-by-others";
      return before.present && after.present && isSameTime(before, after) ? "changed-by-others" : "different";
    }
  }
}

async function hasOwnPart(item: SavedItemOf<"file" | "variable">, context: SavedOn): Promise<boolean> {
  if (item.format === "own") return true;
  const { now, remainder } = await remainderOf(item, context);
  return remainder === "unclear" || !isSame(remainder.bytes, now);
}

/** The current content of a shared file or of a variable, and what it must become. */
export async function remainderOf(item: SavedItemOf<"file" | "variable">, context: SavedOn) {
  const { machine, volumes } = context;
  if (item.format === "own") throw new RangeError(`${nameOf(context.saved, item)} is not shared`);
  const isVariable = item.kind === "variable";
  if (isVariable) await requireVariables(machine);
  const path = isVariable ? variablePath(item.name) : volumes.pathOf(item.location);
  const status = await machine.status(path);
  // Another user may have put a link in its place: its target may contain our part, but is not written.
  if (status && status.kind !== "file") return { path, status, remainder: "unclear" } as const;
  const now = await machine.contents(path);
  if (isVariable && (await namesOthersEntry(item, context)))
    return { path, status, now, remainder: { bytes: now } };
  const saved = isVariable ? item.before?.bytesBase64 : item.before?.contentBase64;
  const remainder = withoutOwnPart(item.format, {
    before: saved === undefined ? undefined : Buffer.from(saved, "base64"),
    armed: Buffer.from(item.armed?.bytesBase64 ?? "", "base64"),
    now,
  });
  return { path, status, now, remainder };
}

/** The firmware may have given our entry's number to an entry of its own since the machine was armed. */
async function namesOthersEntry({ entry }: SavedItemOf<"variable">, { saved, machine }: SavedOn) {
  const item = saved.items.find((each) => each.kind === "variable" && each.name === entry);
  const now = item?.kind === "variable" ? await machine.contents(variablePath(item.name)) : undefined;
  if (item?.kind !== "variable" || now === undefined) return false;
  return !isSameEntry(now, Buffer.from(item.armed.bytesBase64, "base64"));
}

/** Whether others removed or replaced the folder, or added to or removed from its content. */
export async function othersChangedFolder(
  item: SavedItemOf<"folder">,
  { saved, machine, volumes }: SavedOn,
): Promise<boolean> {
  const path = volumes.pathOf(item.location);
  const status = await machine.status(path);
  if (status?.kind !== "folder") return true;
  const now = othersNames(saved, item, await machine.list(path));
  const before = othersNames(saved, item, item.before?.names ?? []);
  return now.length !== before.length || now.some((name) => !before.includes(name));
}

/** `attributes`: also compares owner and permissions, and the time if it means something. */
export function isEqual(
  before: BootStateItem,
  after: BootStateItem,
  attributes: { withTime: boolean } | false,
): boolean {
  if (!before.present || !after.present) return before.present === after.present;
  if (before.sha256 !== after.sha256 || before.sizeBytes !== after.sizeBytes) return false;
  if (!attributes) return true;
  const { mode, uid, gid } = before;
  if (mode !== after.mode || uid !== after.uid || gid !== after.gid) return false;
  return !attributes.withTime || isSameTime(before, after);
}

type Present = Extract<BootStateItem, { present: true }>;

function isSameTime({ modifiedNs: one }: Present, { modifiedNs: other }: Present): boolean {
  if (one === undefined || other === undefined) return one === other;
  const apart = BigInt(one) - BigInt(other);
  return apart < TIME_TOLERANCE_NS && apart > -TIME_TOLERANCE_NS;
}
