/**
 * The variables that UEFI firmware for virtual machines (EDK II) keeps, read from its flash and written to it
 * without running it.
 */

export interface UefiVariable {
  name: string;
  /** The GUID of the variable's namespace, in lower case. */
  vendor: string;
  value: Buffer;
}

const STORE_HEADER_BYTES = 28;
const VARIABLE_HEADER_BYTES = 60;
/** Of a firmware volume's header: its own length. */
const VOLUME_HEADER_LENGTH_OFFSET = 48;
const VARIABLE_MARK = 0x55aa;
/** Written as a whole and not deleted since. */
const PRESENT = 0x3f;
/** Non-volatile, for boot services and for the running system. */
const ATTRIBUTES = 7;
const GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

export function variablesIn(flash: Buffer): UefiVariable[] {
  return recordsIn(flash).present;
}

/** What boots, in which order: `BootOrder`, `BootNext` and each `Boot####`, as hexadecimal digits by name. */
export function bootVariablesIn(flash: Buffer): Record<string, string> {
  const isOfBoot = ({ name, vendor }: UefiVariable) =>
    vendor === GLOBAL && /^Boot(Order|Next|[0-9A-F]{4})$/.test(name);
  return Object.fromEntries(
    variablesIn(flash)
      .filter(isOfBoot)
      .map(({ name, value }) => [name, value.toString("hex")]),
  );
}

/** A copy of the flash with variables that it does not have yet. */
export function withVariables(flash: Buffer, variables: readonly UefiVariable[]): Buffer {
  const changed = Buffer.from(flash);
  let at = recordsIn(flash).endBytes;
  for (const { name, vendor, value } of variables) {
    const nameBytes = Buffer.from(`${name}\0`, "utf16le");
    const header = Buffer.alloc(VARIABLE_HEADER_BYTES);
    header.writeUInt16LE(VARIABLE_MARK, 0);
    header[2] = PRESENT;
    header.writeUInt32LE(ATTRIBUTES, 4);
    header.writeUInt32LE(nameBytes.length, 36);
    header.writeUInt32LE(value.length, 40);
    swappedGuid(Buffer.from(vendor.replaceAll("-", ""), "hex")).copy(header, 44);
    Buffer.concat([header, nameBytes, value]).copy(changed, at);
    at = aligned(at + VARIABLE_HEADER_BYTES + nameBytes.length + value.length);
  }
  return changed;
}

function recordsIn(flash: Buffer): { present: UefiVariable[]; endBytes: number } {
  const present: UefiVariable[] = [];
  let at = flash.readUInt16LE(VOLUME_HEADER_LENGTH_OFFSET) + STORE_HEADER_BYTES;
  while (flash.readUInt16LE(at) === VARIABLE_MARK) {
    const [nameBytes, dataBytes] = [flash.readUInt32LE(at + 36), flash.readUInt32LE(at + 40)];
    const nameAt = at + VARIABLE_HEADER_BYTES;
    const dataAt = nameAt + nameBytes;
    if (flash[at + 2] === PRESENT) {
      const guid = swappedGuid(flash.subarray(at + 44, nameAt)).toString("hex");
      present.push({
        name: flash.toString("utf16le", nameAt, dataAt - 2),
        vendor: guid.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"),
        value: flash.subarray(dataAt, dataAt + dataBytes),
      });
    }
    at = aligned(dataAt + dataBytes);
  }
  return { present, endBytes: at };
}

function aligned(offset: number): number {
  return (offset + 3) & ~3;
}

/** The first three groups of a GUID are little-endian numbers. */
function swappedGuid(bytes: Buffer): Buffer {
  const groups = [bytes.subarray(0, 4), bytes.subarray(4, 6), bytes.subarray(6, 8)];
  return Buffer.concat([...groups.map((group) => Buffer.from(group).reverse()), bytes.subarray(8)]);
}
