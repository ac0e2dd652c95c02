import type { Machine } from "./machine.ts";

/** Readable by root only: https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-firmware-dmi-tables */
const TABLE = "/sys/firmware/dmi/tables/DMI";
/** Each structure of the table as a folder of its own, in kernels that have no whole table. */
const STRUCTURES = "/sys/firmware/dmi/entries";
const PREFIX = "causeway-machine=";
const OEM_STRINGS = 11;
const HEADER_BYTES = 4;
const MARKER_CHARACTERS = 100;

/** The string that the firmware of a machine shows to its system, if a target host made it for this owner. */
export function markerString(ownerId: string): string {
  return `${PREFIX}${ownerId}`;
}

/**
 * For which owner a target host made this machine; `undefined` if it made none such, or if the firmware's
 * strings cannot be read. It is the hypervisor's text, made printable.
 */
export async function readMachineMarker(
  machine: Pick<Machine, "read" | "list">,
): Promise<string | undefined> {
  const table = (await machine.read(TABLE)) ?? (await readStructures(machine));
  const text = oemStrings(table).find((each) => each.startsWith(PREFIX));
  return text?.slice(PREFIX.length, PREFIX.length + MARKER_CHARACTERS).replace(/[^\x20-\x7e]/g, "?");
}

async function readStructures(machine: Pick<Machine, "read" | "list">): Promise<Buffer> {
  const names = (await machine.list(STRUCTURES)).filter((name) => name.startsWith(`${OEM_STRINGS}-`));
  const parts = await Promise.all(names.map((name) => machine.read(`${STRUCTURES}/${name}/raw`)));
  return Buffer.concat(parts.filter((part) => part !== undefined));
}

/**
 * The OEM strings of SMBIOS structures that follow each other, one character for each byte. Of a damaged
 * table it returns those before the damage. https://www.dmtf.org/standards/smbios (DSP0134, 6.1.2 and 7.12)
 */
function oemStrings(table: Buffer): string[] {
  const found: string[] = [];
  for (let at = 0; at + HEADER_BYTES <= table.length; ) {
    const length = table.readUInt8(at + 1);
    if (length < HEADER_BYTES) break;
    const texts = at + length;
    const end = table.indexOf("\0\0", texts, "latin1");
    if (end < 0) break;
    if (table.readUInt8(at) === OEM_STRINGS) found.push(...table.toString("latin1", texts, end).split("\0"));
    at = end + 2;
  }
  return found;
}
