import { type Inventory, UNKNOWN } from "#shared/protocol/inventory.ts";
import { clip, type Machine, readText } from "./machine.ts";

/** The UEFI specification's own variables. */
export const EFI_GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
export const EFI_VARIABLES = "/sys/firmware/efi/efivars";
/** The kernel puts a variable's attributes before its value. */
export const EFI_ATTRIBUTE_BYTES = 4;

/** Names that firmware vendors give their virtual machines, for systems without `systemd-detect-virt`. */
const VIRTUAL_VENDORS: readonly [RegExp, string][] = [
  [/QEMU/, "qemu"],
  [/VMware/, "vmware"],
  [/Microsoft Corporation Virtual Machine/, "microsoft"],
  [/VirtualBox|innotek/, "oracle"],
  [/Xen/, "xen"],
  [/Amazon EC2/, "amazon"],
  [/Google/, "google"],
];

/** Changes with each start of this system. */
export async function readBootId(machine: Machine): Promise<string> {
  return clip((await readText(machine, "/proc/sys/kernel/random/boot_id")) ?? UNKNOWN);
}

export async function collectOperatingSystem(machine: Machine): Promise<Inventory["operatingSystem"]> {
  const { ID, VERSION_ID, PRETTY_NAME } = await readOsRelease(machine);
  const kernel = await readText(machine, "/proc/sys/kernel/osrelease");
  const architecture =
    (await readText(machine, "/proc/sys/kernel/arch")) ?? (await machine.run("uname", "-m"))?.output.trim();
  return {
    family: kernel === undefined ? UNKNOWN : "linux",
    id: orUnknown(ID),
    version: orUnknown(VERSION_ID),
    name: orUnknown(PRETTY_NAME),
    kernel: orUnknown(kernel),
    architecture: orUnknown(architecture),
  };
}

/** What the distribution says about itself; empty if it says nothing. */
export async function readOsRelease(machine: Machine): Promise<Record<string, string>> {
  const release =
    (await readText(machine, "/etc/os-release")) ?? (await readText(machine, "/usr/lib/os-release")) ?? "";
  return parseOsRelease(release);
}

/** `NAME=value` lines, the value quoted as in a shell. */
export function parseOsRelease(text: string): Record<string, string> {
  const values: Record<string, string> = Object.create(null);
  for (const line of text.split("\n")) {
    const match = /^([A-Z0-9_]+)=(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S*))\s*$/.exec(line);
    if (match?.[1]) values[match[1]] = match[2]?.replace(/\\(.)/g, "$1") ?? match[3] ?? match[4] ?? "";
  }
  return values;
}

export async function collectFirmware(machine: Machine): Promise<Inventory["firmware"]> {
  const isUefi = (await machine.list("/sys/firmware/efi")).length > 0;
  if (!isUefi) return { kind: "bios", secureBoot: "unsupported" };
  const variable = await machine.read(`${EFI_VARIABLES}/SecureBoot-${EFI_GLOBAL}`);
  const value = variable?.[EFI_ATTRIBUTE_BYTES];
  const hasVariables = (await machine.list(EFI_VARIABLES)).length > 0;
  const absent = hasVariables ? "unsupported" : UNKNOWN;
  return { kind: "uefi", secureBoot: value === undefined ? absent : value === 1 ? "enabled" : "disabled" };
}

/** Boot entries in the firmware's order, from its variables; none on BIOS. */
export async function collectBootEntries(machine: Machine): Promise<Inventory["bootLoader"]["entries"]> {
  const order = await machine.read(`${EFI_VARIABLES}/BootOrder-${EFI_GLOBAL}`);
  if (!order) return [];
  const entries: Inventory["bootLoader"]["entries"] = [];
  for (let offset = EFI_ATTRIBUTE_BYTES; offset + 2 <= order.length && entries.length < 64; offset += 2) {
    const id = `Boot${order.readUInt16LE(offset).toString(16).toUpperCase().padStart(4, "0")}`;
    const option = await machine.read(`${EFI_VARIABLES}/${id}-${EFI_GLOBAL}`);
    const parsed = option && parseBootOption(option.subarray(EFI_ATTRIBUTE_BYTES));
    if (parsed) entries.push({ id, ...parsed });
  }
  return entries;
}

/** A load option: attributes (bit 0: active), length of the device path, and the label. */
export function parseBootOption(bytes: Buffer): { label: string; active: boolean } | undefined {
  if (bytes.length < 8) return undefined;
  const label = bytes.toString("utf16le", 6).split("\0")[0] ?? "";
  return { label: clip(label), active: (bytes.readUInt32LE(0) & 1) === 1 };
}

export async function collectCpu(machine: Machine): Promise<Inventory["cpu"]> {
  return parseCpuInfo((await readText(machine, "/proc/cpuinfo")) ?? "");
}

export function parseCpuInfo(text: string): Inventory["cpu"] {
  const count = text.match(/^processor\s*:/gm)?.length ?? 1;
  const model = /^model name\s*:\s*(.+)$/m.exec(text)?.[1];
  const flags = /^(?:flags|Features)\s*:\s*(.+)$/m.exec(text)?.[1]?.split(/\s+/) ?? [];
  return { count, model: orUnknown(model), flags: flags.slice(0, 512).map((flag) => clip(flag)) };
}

export async function collectMemoryBytes(machine: Machine): Promise<number | typeof UNKNOWN> {
  const total = /^MemTotal:\s+(\d+) kB$/m.exec((await readText(machine, "/proc/meminfo")) ?? "")?.[1];
  return total === undefined ? UNKNOWN : Number(total) * 1024;
}

export async function collectVirtualization(machine: Machine): Promise<string> {
  // Its status says whether it found a hypervisor; it prints a word in either case.
  const detected = (await machine.run("systemd-detect-virt", "--vm"))?.output.trim();
  if (detected) return clip(detected);
  const fields = await Promise.all(
    ["sys_vendor", "product_name"].map((field) => readText(machine, `/sys/class/dmi/id/${field}`)),
  );
  const vendor = fields.join(" ");
  return VIRTUAL_VENDORS.find(([pattern]) => pattern.test(vendor))?.[1] ?? UNKNOWN;
}

function orUnknown(text: string | undefined): string {
  return text ? clip(text) : UNKNOWN;
}
