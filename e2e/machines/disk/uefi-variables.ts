/**
 * The variables that UEFI firmware for virtual machines (EDK II) keeps, read from its flash without running
 * it.
 */

const STORE_HEADER_BYTES = 28;
const VARIABLE_HEADER_BYTES = 60;
/** Of a firmware volume's header: its own length. */
const VOLUME_HEADER_LENGTH_OFFSET = 48;
const VARIABLE_MARK = 0x55aa;
/** Written as a whole and not deleted since. */
const PRESENT = 0x3f;
const GLOBAL = "61dfe48bca93d211aa0d00e098032b8c";

/** What boots, in which order: `BootOrder`, `BootNext` and each `Boot####`, as hexadecimal digits by name. */
export function bootVariablesIn(flash: Buffer): Record<string, string> {
  const found: Record<string, string> = {};
  let at = flash.readUInt16LE(VOLUME_HEADER_LENGTH_OFFSET) + STORE_HEADER_BYTES;
  while (flash.readUInt16LE(at) === VARIABLE_MARK) {
    const [nameBytes, dataBytes] = [flash.readUInt32LE(at + 36), flash.readUInt32LE(at + 40)];
    const nameAt = at + VARIABLE_HEADER_BYTES;
    const dataAt = nameAt + nameBytes;
    const name = flash.toString("utf16le", nameAt, dataAt - 2);
    const isGlobal = flash.toString("hex", at + 44, nameAt) === GLOBAL;
    if (flash[at + 2] === PRESENT && isGlobal && /^Boot(Order|Next|[0-9A-F]{4})$/.test(name)) {
      found[name] = flash.toString("hex", dataAt, dataAt + dataBytes);
    }
    at = (dataAt + dataBytes + 3) & ~3;
  }
  return found;
}
