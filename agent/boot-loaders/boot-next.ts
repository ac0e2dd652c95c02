import { posix } from "node:path";
import { ArmingFailedError } from "#shared/errors.ts";
import { EFI_VARIABLES } from "../machine/system.ts";
import type { Armed, ArmingJob, BootLoaderAdapter, ProbeResult, UsableLoader } from "./adapter.ts";
import type { ArmingNeed } from "./arming-need.ts";
import type { HardDrivePartition } from "./device-path.ts";
import {
  BOOT_ENTRY,
  findEsp,
  globalVariable,
  type PartitionFacts,
  readPartition,
  readVariable,
  variableBytes,
} from "./firmware.ts";
import { LinuxBootLoader } from "./linux-boot-loader.ts";
import type { LinuxLoader } from "./linux-loader.ts";
import { encodeLoadOption, isOwnLoadOption, OWN_LABEL } from "./load-option.ts";
import { type ArmingRule, COMMON_RULES, type CommonFacts, findingsOf } from "./rules.ts";
import { variablePath } from "./save.ts";
import type { SavedBootState } from "./saved-state.ts";
import { type StagedImage, stagedPath } from "./staging.ts";
import { readVolumes } from "./volumes.ts";

const FORM = "unified-kernel";
const BOOT_NEXT = globalVariable("BootNext");
const BOOT_ORDER = globalVariable("BootOrder");
const MOST_ENTRIES = 0x10000;

interface BootNextFacts extends CommonFacts {
  bootOrder: Buffer | undefined;
  /** An entry of an earlier conversion: `Boot0003`. */
  left: string | undefined;
  partition: HardDrivePartition | undefined;
}

const RULES: readonly ArmingRule<BootNextFacts>[] = [
  {
    code: "not-uefi",
    check: ({ firmware }) => (firmware.kind === "uefi" ? undefined : "this system was not started by UEFI"),
    remedy: "Arm the boot loader instead.",
  },
  {
    code: "variables-read-only",
    check: ({ firmware }) =>
      firmware.kind === "uefi" && !firmware.variablesWritable
        ? "the firmware's variables cannot be written while the system runs"
        : undefined,
    remedy: "Mount efivarfs writable at /sys/firmware/efi/efivars, and start the kernel without noefi.",
  },
  {
    code: "boot-next-unsupported",
    check: ({ firmware, bootOrder }) =>
      firmware.kind === "uefi" && !isBootOrder(bootOrder)
        ? "the firmware keeps no usable list of boot entries (BootOrder), so it may not know BootNext either"
        : undefined,
    remedy: "Arm the boot loader instead, or update the firmware.",
  },
  {
    code: "entry-left",
    check: ({ left }) => left && `the firmware still has the entry of an earlier conversion, ${left}`,
    remedy: "Release that conversion on this machine, or delete the entry with `efibootmgr -B`.",
  },
  {
    code: "esp-not-a-partition",
    check: ({ firmware, place, partition }) =>
      firmware.kind === "uefi" && place && !partition
        ? "the EFI system partition is not a plain partition that the firmware could find"
        : undefined,
    remedy: "Put the EFI system partition directly on a disk, not on software RAID.",
  },
];

/**
 * The firmware's own one-shot: `BootNext` names an entry that starts one file on the EFI system partition;
 * the firmware deletes the variable before it starts the entry. The entry is appended to `BootOrder`, because
 * some firmware forgets entries that are not in it.
 */
export class BootNext extends LinuxBootLoader implements BootLoaderAdapter {
  readonly kind = "boot-next";

  async probe(need: ArmingNeed): Promise<ProbeResult> {
    const volumes = await readVolumes(this.machine);
    const esp = findEsp(volumes.volumes);
    const parent = esp && posix.join(esp.mountPoint, "EFI");
    const partition = esp && (await readPartition(this.machine, esp.device));
    const facts: BootNextFacts = {
      ...(await this.commonFacts(need, { form: FORM, parent, volumes })),
      bootOrder: await readVariable(this.machine, BOOT_ORDER),
      left: await this.#findOwnEntry(),
      partition: partition && hardDriveOf(partition),
    };
    const refusals = [...findingsOf(RULES, facts), ...findingsOf(COMMON_RULES, facts)];
    if (refusals.length > 0 || !facts.place) return { usable: false, kind: this.kind, refusals };
    const { folder, freeBytes } = facts.place;
    return { usable: true, kind: this.kind, form: FORM, folder, freeBytes };
  }

  async save(loader: UsableLoader, job: ArmingJob): Promise<SavedBootState> {
    const recorder = await this.recorder();
    const name = await this.#freeEntry();
    const entry = globalVariable(name);
    const number = Buffer.from(name.slice("Boot".length), "hex").reverse();
    const order = await this.machine.contents(variablePath(BOOT_ORDER));
    if (!order) throw new ArmingFailedError(BOOT_ORDER);
    const option = variableBytes(await this.#loadOption({ ...loader, ...job }));
    const items = [
      await recorder.variable(BOOT_NEXT, { format: "one-shot", armed: variableBytes(number), entry }),
      await recorder.variable(BOOT_ORDER, {
        ...{ format: "boot-order", armed: Buffer.concat([order, number]), entry },
      }),
      await recorder.variable(entry, { format: "load-option", armed: option }),
      ...(await this.stagingItems(recorder, loader)),
    ];
    return this.finish(recorder, { loader, job, items });
  }

  async arm(saved: SavedBootState): Promise<Armed> {
    await this.requireAsSaved(saved);
    const name = savedEntry(saved);
    await this.armVariable(saved, globalVariable(name));
    await this.armVariable(saved, BOOT_ORDER);
    // Last: until now every start is as always.
    await this.armVariable(saved, BOOT_NEXT);
    return { kind: this.kind, entry: name };
  }

  async #loadOption(staged: StagedImage): Promise<Buffer> {
    const volumes = await readVolumes(this.machine);
    const location = volumes.locationOf(stagedPath(staged, "causeway.efi"));
    const volume = volumes.holding(staged.folder);
    const facts = volume && (await readPartition(this.machine, volume.device));
    const partition = facts && hardDriveOf(facts);
    if (!location || !partition) throw new ArmingFailedError(staged.folder);
    return encodeLoadOption({
      active: true,
      hidden: false,
      otherAttributes: 0,
      label: OWN_LABEL,
      path: [
        { kind: "hard-drive", partition },
        { kind: "file", path: location.path.replaceAll("/", "\\") },
      ],
      // The image's stub uses these as the kernel's command line.
      optionalData: Buffer.from(`${staged.commandLine}\0`, "utf16le"),
    });
  }

  async #findOwnEntry(): Promise<string | undefined> {
    for (const name of await this.machine.list(EFI_VARIABLES)) {
      if (!BOOT_ENTRY.test(name)) continue;
      const value = await readVariable(this.machine, name);
      if (value && isOwnLoadOption(value)) return name.slice(0, "Boot0000".length);
    }
    return undefined;
  }

  /** The lowest number that no entry has, whether in BootOrder or not. */
  async #freeEntry(): Promise<string> {
    const order = (await readVariable(this.machine, BOOT_ORDER)) ?? Buffer.alloc(0);
    const used = new Set(entriesOf(order));
    for (const name of await this.machine.list(EFI_VARIABLES)) {
      const number = BOOT_ENTRY.exec(name)?.[1];
      if (number) used.add(Number.parseInt(number, 16));
    }
    let number = 0;
    while (used.has(number)) number++;
    if (number >= MOST_ENTRIES) throw new ArmingFailedError(BOOT_ORDER);
    return `Boot${number.toString(16).toUpperCase().padStart(4, "0")}`;
  }
}

function savedEntry(saved: SavedBootState): string {
  for (const item of saved.items) {
    const number = item.kind === "variable" && BOOT_ENTRY.exec(item.name)?.[1];
    if (number) return `Boot${number}`;
  }
  throw new ArmingFailedError("Boot####");
}

function isBootOrder(value: Buffer | undefined): boolean {
  return value !== undefined && value.length > 0 && value.length % 2 === 0;
}

function entriesOf(order: Buffer): number[] {
  return Array.from({ length: order.length >> 1 }, (_, index) => order.readUInt16LE(index * 2));
}

/** The firmware counts in the disk's own sectors. */
function hardDriveOf({
  table,
  partition,
  logicalSectorBytes,
}: PartitionFacts): HardDrivePartition | undefined {
  const block = (bytes: number) => BigInt(bytes) / BigInt(logicalSectorBytes);
  const place = {
    number: partition.number,
    startBlock: block(partition.offsetBytes),
    blocks: block(partition.sizeBytes),
  };
  if (table.kind === "gpt" && partition.uuid) {
    return { ...place, signature: { format: "gpt", guid: partition.uuid } };
  }
  const number = table.kind === "mbr" ? Number(table.uuid) : Number.NaN;
  return Number.isInteger(number) ? { ...place, signature: { format: "mbr", number } } : undefined;
}

/** The firmware itself, which the inventory does not show as a boot loader. */
export const bootNext: LinuxLoader = { adapter: (machine) => new BootNext(machine) };
