/** Removes from shared boot state what arming wrote into it, and nothing else. */
import { EFI_ATTRIBUTE_BYTES } from "../machine/system.ts";
import { removeGrubEntry } from "./grub-entry.ts";
import {
  decodeGrubEnvironment,
  encodeGrubEnvironment,
  environmentVariables,
  grubVariable,
  withGrubVariable,
  withoutGrubVariable,
} from "./grub-environment.ts";
import { decodeLoadOption, OWN_LABEL } from "./load-option.ts";
import type { SavedItemOf } from "./saved-state.ts";

/** The format of a file or variable that others also write to. */
export type SharedFormat = Exclude<SavedItemOf<"file" | "variable">["format"], "own">;

/** One file or variable at three times; `undefined` if it does not exist. */
export interface Versions {
  before: Buffer | undefined;
  armed: Buffer;
  now: Buffer | undefined;
}

/** What remains without our part; `unclear` if it is not known which part is ours. */
export type Remainder = { bytes: Buffer | undefined } | "unclear";

/**
 * Returns the previous content if the current one is still as armed, or partly restored; the current content
 * if nothing of it is ours; otherwise the current content without what arming wrote.
 */
export function withoutOwnPart(format: SharedFormat, { before, armed, now }: Versions): Remainder {
  if (now === undefined || isSame(now, before)) return { bytes: now };
  if (now.equals(armed)) return { bytes: before };
  return REMAINDER[format]({ before, armed, now });
}

export function isSame(one: Buffer | undefined, other: Buffer | undefined): boolean {
  return one === undefined || other === undefined ? one === other : one.equals(other);
}

type Changed = Versions & { now: Buffer };

const REMAINDER: Readonly<Record<SharedFormat, (versions: Changed) => Remainder>> = {
  "grub-environment": withoutGrubVariables,
  "grub-configuration": withoutMenuEntry,
  "boot-order": withoutBootNumbers,
  "load-option": ({ before, armed, now }) => ({ bytes: isSameEntry(now, armed) ? before : now }),
  // It names another entry.
  "one-shot": ({ now }) => ({ bytes: now }),
};

const SECTOR_BYTES = 512;

function withoutGrubVariables({ before, armed, now }: Changed): Remainder {
  if (before && isTornBetween(now, before, armed)) return { bytes: before };
  const saved = before && environmentOf(before);
  const ours = [...environmentOf(armed)].filter(([name, value]) => saved?.get(name) !== value);
  let environment = decodeGrubEnvironment(now);
  // It may be a torn write of ours over others' changes.
  if (!environment) return "unclear";
  for (const [name, value] of ours) {
    const current = grubVariable(environment, name);
    // GRUB empties the variable when it starts the entry.
    if (current !== value && current !== "") continue;
    const earlier = saved?.get(name);
    environment =
      earlier === undefined
        ? withoutGrubVariable(environment, name)
        : withGrubVariable(environment, name, earlier);
  }
  try {
    return { bytes: encodeGrubEnvironment(environment) };
  } catch (error) {
    // Others have filled the room that the earlier value took.
    if (error instanceof RangeError) return "unclear";
    throw error;
  }
}

function environmentOf(bytes: Buffer): Map<string, string> {
  return new Map(environmentVariables(bytes));
}

/** Whether a write of the block was torn by a power cut: a disk writes a sector whole or not at all. */
function isTornBetween(now: Buffer, before: Buffer, armed: Buffer): boolean {
  if (now.length !== before.length || now.length !== armed.length) return false;
  for (let at = 0; at < now.length; at += SECTOR_BYTES) {
    const sector = now.subarray(at, at + SECTOR_BYTES);
    const versions = [before, armed].map((each) => each.subarray(at, at + SECTOR_BYTES));
    if (!versions.some((each) => each.equals(sector))) return false;
  }
  return true;
}

function withoutMenuEntry({ before, armed, now }: Changed): Remainder {
  const bytes = removeGrubEntry(now, armed.subarray(before?.length ?? 0));
  if (!bytes) return "unclear";
  // The file was ours, and nothing else is in it.
  return { bytes: before === undefined && bytes.length === 0 ? undefined : bytes };
}

function withoutBootNumbers({ before, armed, now }: Changed): Remainder {
  const numbers = numbersOf(now);
  if (!numbers) return "unclear";
  const earlier = (before && numbersOf(before)) ?? [];
  const ours = (numbersOf(armed) ?? []).filter((number) => !earlier.includes(number));
  const others = numbers.filter((number) => !ours.includes(number));
  if (others.length === numbers.length) return { bytes: now };
  // A variable without a value does not exist.
  if (others.length === 0) return { bytes: undefined };
  const value = Buffer.alloc(others.length * 2);
  for (const [index, number] of others.entries()) value.writeUInt16LE(number, index * 2);
  return { bytes: Buffer.concat([now.subarray(0, EFI_ATTRIBUTE_BYTES), value]) };
}

/** Returns `undefined` if the bytes are not a list of boot entries. */
function numbersOf(variable: Buffer): number[] | undefined {
  const value = variable.subarray(EFI_ATTRIBUTE_BYTES);
  if (variable.length < EFI_ATTRIBUTE_BYTES || value.length % 2 !== 0) return undefined;
  return Array.from({ length: value.length / 2 }, (_, index) => value.readUInt16LE(index * 2));
}

/**
 * Whether a boot entry is the armed one, even if rewritten: people switch entries off, and some firmware
 * completes the device path. Label and file stay.
 */
export function isSameEntry(now: Buffer, armed: Buffer): boolean {
  const [current, own] = [now, armed].map((bytes) => decodeLoadOption(bytes.subarray(EFI_ATTRIBUTE_BYTES)));
  if (current?.label !== OWN_LABEL) return false;
  const fileOf = (option: typeof own) =>
    option?.path.find((node) => node.kind === "file")?.path.toLowerCase();
  return fileOf(current) === fileOf(own);
}
