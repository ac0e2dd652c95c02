/**
 * Disks that boot within a second because they only have a boot sector: they show whether virtual machines
 * run at all.
 */

const SECTOR_BYTES = 512;

/** Prints what follows the code, up to a zero, on the first serial port, then halts. */
const PRINT_CODE = [
  ...[0x31, 0xc0], // xor ax, ax
  ...[0x8e, 0xd8], // mov ds, ax
  ...[0xbe, 0x15, 0x7c], // mov si, 0x7c15: the text
  0xac, // next: lodsb
  ...[0x84, 0xc0], // test al, al
  ...[0x74, 0x06], // jz halt
  ...[0xba, 0xf8, 0x03], // mov dx, 0x3f8
  0xee, // out dx, al
  ...[0xeb, 0xf5], // jmp next
  0xf4, // halt: hlt
  ...[0xeb, 0xfd], // jmp halt
];

/** Restarts the machine through the keyboard controller: mov al, 0xfe; out 0x64, al; jmp $. */
const RESTART_CODE = [0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe];

/** Prints for ever: mov dx, 0x3f8; mov al, "x"; next: out dx, al; jmp next. */
const CHATTER_CODE = [0xba, 0xf8, 0x03, 0xb0, 0x78, 0xee, 0xeb, 0xfd];

/** Writes 127 sectors after the other to the disk that it was started from, until that fails; then halts. */
const WRITE_CODE = [
  ...[0x31, 0xc0], // xor ax, ax
  ...[0x8e, 0xd8], // mov ds, ax
  ...[0xbe, 0x1e, 0x7c], // mov si, 0x7c1e: the address packet
  ...[0xb8, 0x00, 0x43], // next: mov ax, 0x4300: extended write
  ...[0xcd, 0x13], // int 0x13
  ...[0x72, 0x0d], // jc halt
  ...[0x83, 0x06, 0x26, 0x7c, 0x7f], // add word [0x7c26], 127: the first sector's low half
  ...[0x83, 0x16, 0x28, 0x7c, 0x00], // adc word [0x7c28], 0: its high half
  ...[0xeb, 0xed], // jmp next
  0x90, // halt, after one byte to align: hlt
  ...[0xf4, 0xeb, 0xfd], // jmp halt
  // The packet: its length, 127 sectors, from 0000:8000, to sector 64.
  ...[0x10, 0x00, 0x7f, 0x00, 0x00, 0x80, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
];

export function chatteringDisk(): Buffer {
  return bootDisk(Buffer.from(CHATTER_CODE));
}

/** Room to write must follow. */
export function writingDisk(): Buffer {
  return bootDisk(Buffer.from(WRITE_CODE));
}

export function printingDisk(text: string): Buffer {
  return bootDisk(Buffer.concat([Buffer.from(PRINT_CODE), Buffer.from(`${text}\0`, "latin1")]));
}

export function restartingDisk(): Buffer {
  return bootDisk(Buffer.from(RESTART_CODE));
}

function bootDisk(code: Buffer): Buffer {
  if (code.length > SECTOR_BYTES - 2) throw new RangeError("the text does not fit in a boot sector");
  const disk = Buffer.alloc(1024 * 1024);
  code.copy(disk);
  disk.writeUInt16LE(0xaa55, SECTOR_BYTES - 2);
  return disk;
}
