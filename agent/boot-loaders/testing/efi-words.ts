/** For tests: programs for UEFI that only say a word, on screen and serial port, and stay. */

const PE = 0x40;
const OPTIONAL = PE + 24;
const OPTIONAL_BYTES = 240;
const SECTION = OPTIONAL + OPTIONAL_BYTES;
/** With room for the sections of a unified kernel image. */
const HEADERS_BYTES = 0x400;
const FILE_ALIGNMENT = 0x200;
const ADDRESS = 0x1000;

const CODE = Buffer.from([
  ...[0x48, 0x83, 0xec, 0x28], // sub rsp, 40: the callee's room
  ...[0x48, 0x8b, 0x4a, 0x40], // mov rcx, [rdx + 64]: the system table's ConOut
  ...[0x48, 0x8d, 0x15, 0x07, 0x00, 0x00, 0x00], // lea rdx, [rip + 7]: the text behind this
  ...[0xff, 0x51, 0x08], // call [rcx + 8]: OutputString
  ...[0xf4, 0xeb, 0xfd], // hlt, for ever
  0x90,
]);

/** Says `STARTED:` and the word. */
export function efiProgramThatSays(word: string): Buffer {
  const text = Buffer.concat([CODE, Buffer.from(`\r\nSTARTED:${word}\r\n\0`, "utf16le")]);
  const stored = Math.ceil(text.length / FILE_ALIGNMENT) * FILE_ALIGNMENT;
  const file = Buffer.alloc(HEADERS_BYTES + stored);
  file.write("MZ", 0, "latin1");
  file.writeUInt32LE(PE, 0x3c);
  file.write("PE\0\0", PE, "latin1");
  file.writeUInt16LE(0x8664, PE + 4);
  file.writeUInt16LE(1, PE + 6);
  file.writeUInt16LE(OPTIONAL_BYTES, PE + 20);
  // Executable, of 64 bits, with its relocations, of which it has none.
  file.writeUInt16LE(0x22, PE + 22);
  file.writeUInt16LE(0x20b, OPTIONAL);
  for (const [offset, value] of [
    ...[
      [4, stored],
      [16, ADDRESS],
      [20, ADDRESS],
      [32, ADDRESS],
      [36, FILE_ALIGNMENT],
    ],
    ...[
      [56, 2 * ADDRESS],
      [60, HEADERS_BYTES],
      [108, 16],
    ],
  ] as [number, number][]) {
    file.writeUInt32LE(value, OPTIONAL + offset);
  }
  const efiApplication = 10;
  file.writeUInt16LE(efiApplication, OPTIONAL + 68);
  file.write(".text", SECTION, "latin1");
  for (const [index, value] of [text.length, ADDRESS, stored, HEADERS_BYTES].entries()) {
    file.writeUInt32LE(value, SECTION + 8 + index * 4);
  }
  file.writeUInt32LE(0x60000020, SECTION + 36);
  text.copy(file, HEADERS_BYTES);
  return file;
}
