/**
 * Disks that boot within a second because they only have a boot sector: they show whether virtual machines
 * run at all.
 */

const SECTOR_BYTES = 512;

/** Prints what follows the code, up to a zero, on the first serial port, then does what `end` does. */
const printCode = (startsAt: number, end: readonly number[]) => [
  0xfa, // cli: the firmware's timer would write the rest of its own text between these characters
  ...[0x31, 0xc0], // xor ax, ax
  ...[0x8e, 0xd8], // mov ds, ax
  ...[0xbe, startsAt + CODE_BYTES, 0x7c], // mov si: the text, behind the code
  0xac, // next: lodsb
  ...[0x84, 0xc0], // test al, al
  ...[0x74, 0x11], // jz end
  ...[0x88, 0xc4], // mov ah, al
  ...[0xba, 0xfd, 0x03], // mov dx, 0x3fd
  0xec, // wait: in al, dx
  ...[0xa8, 0x20], // test al, 0x20: can take a character; otherwise one would replace another
  ...[0x74, 0xfb], // jz wait
  ...[0xb2, 0xf8], // mov dl, 0xf8
  ...[0x88, 0xe0], // mov al, ah
  0xee, // out dx, al
  ...[0xeb, 0xea], // jmp next
  ...end,
];
const CODE_BYTES = 0x21;

/** halt: hlt; jmp halt */
const HALT = [0xf4, 0xeb, 0xfd];

/** Finds the entry point of SMBIOS, and prints a byte 1 and the whole table. */
const SMBIOS_CODE = [
  0xfa, // cli, as above
  ...[0xba, 0xfd, 0x03], // mov dx, 0x3fd
  0xec, // first: in al, dx
  ...[0xa8, 0x20], // test al, 0x20: the firmware's last character is sent
  ...[0x74, 0xfb], // jz first
  ...[0xb2, 0xf8, 0xb0, 0x01, 0xee], // mov dl, 0xf8; mov al, 1; out dx, al
  ...[0xb8, 0xff, 0xef], // mov ax, 0xefff
  0x40, // search: inc ax
  ...[0x8e, 0xd8], // mov ds, ax
  ...[0x66, 0x81, 0x3e, 0x00, 0x00, 0x5f, 0x53, 0x4d, 0x5f], // cmp dword [0], "_SM_"
  ...[0x75, 0xf2], // jne search
  ...[0x8b, 0x0e, 0x16, 0x00], // mov cx, [0x16]: the length of the table
  ...[0x8b, 0x36, 0x18, 0x00], // mov si, [0x18]: its address, of which the rest is 0xf0000
  ...[0xb8, 0x00, 0xf0], // mov ax, 0xf000
  ...[0x8e, 0xd8], // mov ds, ax
  ...[0xba, 0xfd, 0x03], // next: mov dx, 0x3fd
  0xec, // wait: in al, dx
  ...[0xa8, 0x20], // test al, 0x20: can take a character
  ...[0x74, 0xfb], // jz wait
  ...[0xb2, 0xf8], // mov dl, 0xf8
  0xac, // lodsb
  0xee, // out dx, al
  ...[0xe2, 0xf2], // loop next
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
  return bootDisk(printing(0, text, HALT));
}

/** Prints a byte 1, the SMBIOS table of a BIOS, and the text; again and again. */
export function smbiosPrintingDisk(text: string): Buffer {
  const startsAt = SMBIOS_CODE.length;
  // jmp to the start of the sector
  const repeat = [0xe9, 0x100 - startsAt - CODE_BYTES, 0xff];
  return bootDisk(Buffer.concat([Buffer.from(SMBIOS_CODE), printing(startsAt, text, repeat)]));
}

function printing(startsAt: number, text: string, end: readonly number[]): Buffer {
  return Buffer.concat([Buffer.from(printCode(startsAt, end)), Buffer.from(`${text}\0`, "latin1")]);
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
