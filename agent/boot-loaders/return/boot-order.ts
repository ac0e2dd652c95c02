/** What the firmware starts when nothing is armed, by its own variables. */
import { posix } from "node:path";
import type { BootMachine } from "../../machine/boot-machine.ts";
import type { DevicePathNode } from "../device-path.ts";
import { globalVariable, readVariable } from "../firmware.ts";
import { decodeLoadOption, type LoadOption } from "../load-option.ts";
import { attended, type Judgement, UNATTENDED, unknown } from "./judgement.ts";

export interface BootOrder {
  /** The entry that started this system; absent if the firmware does not say. */
  current: number | undefined;
  order: readonly number[] | undefined;
  /** The entries named above that exist and can be read. */
  options: ReadonlyMap<number, LoadOption>;
  /** Entries whose file is known to be missing. */
  dead: ReadonlySet<number>;
}

export async function readBootOrder(
  machine: BootMachine,
  isDead: (option: LoadOption) => Promise<boolean>,
): Promise<BootOrder> {
  const current = await readVariable(machine, globalVariable("BootCurrent"));
  const bytes = await readVariable(machine, globalVariable("BootOrder"));
  const order =
    bytes && Array.from({ length: bytes.length >> 1 }, (_, index) => bytes.readUInt16LE(index * 2));
  const number = current && current.length >= 2 ? current.readUInt16LE(0) : undefined;
  const options = new Map<number, LoadOption>();
  const dead = new Set<number>();
  for (const each of new Set([...(order ?? []), ...(number === undefined ? [] : [number])])) {
    const value = await readVariable(machine, globalVariable(nameOf(each)));
    const option = value && decodeLoadOption(value);
    if (option) options.set(each, option);
    if (!value || (option && (await isDead(option)))) dead.add(each);
  }
  return { current: number, order, options, dead };
}

function nameOf(number: number): string {
  return `Boot${number.toString(16).toUpperCase().padStart(4, "0")}`;
}

const REMEDY = "Put this system's entry first in the firmware's boot order, with `efibootmgr -o`.";

/** Whether the next normal start leads to this system, and what is tried before it. */
export function judgeBootOrder(boot: BootOrder): { nextStart: Judgement; triedBefore: string[] } {
  const { current, order, options, dead } = boot;
  if (current === undefined || !order || order.length === 0) {
    const nextStart = unknown(
      "the firmware does not say which of its entries started this system (BootCurrent, BootOrder)",
      "Look at the firmware's boot order, and make sure that this system is first.",
    );
    return { nextStart, triedBefore: [] };
  }
  const at = order.indexOf(current);
  if (at < 0) {
    const what = `${nameOf(current)}${labelOf(options.get(current))}`;
    const nextStart = attended(
      `the firmware started this system by ${what}, which is not in its boot order: the next start is another`,
      REMEDY,
    );
    return { nextStart, triedBefore: [] };
  }
  const triedBefore: string[] = [];
  for (const number of order.slice(0, at)) {
    const option = options.get(number);
    if (dead.has(number) || (option && !isStarted(option)) || isSame(option, options.get(current))) continue;
    const what = `${nameOf(number)}${labelOf(option)}`;
    if (!option) {
      return {
        nextStart: unknown(`the firmware first starts ${what}, which cannot be read`, REMEDY),
        triedBefore,
      };
    }
    if (!isPassing(option.path)) {
      const reason = `the firmware first starts ${what}; this system was started by ${nameOf(current)}${labelOf(options.get(current))}`;
      return { nextStart: attended(reason, REMEDY), triedBefore };
    }
    triedBefore.push(option.label || what);
  }
  return { nextStart: UNATTENDED, triedBefore: triedBefore.slice(0, 16) };
}

function labelOf(option: LoadOption | undefined): string {
  return option ? ` (${option.label})` : "";
}

/** Programs such as the firmware's own setup are in the list, but are not started by themselves. */
const CATEGORY = 0x1f00;

function isStarted({ active, otherAttributes }: LoadOption): boolean {
  return active && (otherAttributes & CATEGORY) === 0;
}

function isSame(a: LoadOption | undefined, b: LoadOption | undefined): boolean {
  return (
    a !== undefined && b !== undefined && JSON.stringify(plain(a.path)) === JSON.stringify(plain(b.path))
  );
}

function plain(path: readonly DevicePathNode[]): unknown {
  return path
    .map((node) =>
      node.kind === "hard-drive"
        ? node.partition.signature
        : node.kind === "file"
          ? node.path.toLowerCase()
          : { ...node, data: node.data.toString("hex") },
    )
    .map((node) =>
      typeof node === "object" && "number" in node ? { ...node, number: String(node.number) } : node,
    );
}

const MEDIA = 0x04;
/** A program within the firmware, such as its shell. */
const FIRMWARE_FILE = new Set([6, 7]);

/**
 * Whole devices, without a partition or a file: networks, drives with removable media, disks. The firmware
 * continues with the next entry if nothing on them can be started, as it did for this system.
 */
function isPassing(path: readonly DevicePathNode[]): boolean {
  return path.every(
    (node) => node.kind === "other" && !(node.type === MEDIA && FIRMWARE_FILE.has(node.subType)),
  );
}

const FALLBACK = "/EFI/BOOT/BOOTX64.EFI";

/** The file that an entry starts, from the root of its file system, with slashes. */
export function loaderFileOf(option: LoadOption): string {
  const file = option.path.findLast((node) => node.kind === "file");
  return file?.kind === "file" ? posix.normalize(`/${file.path.replaceAll("\\", "/")}`) : FALLBACK;
}

/** The GUID of the partition that an entry names, in lower case. */
export function partitionOf(option: LoadOption): string | undefined {
  const drive = option.path.find((node) => node.kind === "hard-drive");
  const signature = drive?.kind === "hard-drive" ? drive.partition.signature : undefined;
  return signature?.format === "gpt" ? signature.guid.toLowerCase() : undefined;
}
