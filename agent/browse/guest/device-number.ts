// Linux keeps 12 bits of the major and 20 of the minor number, interleaved.
export const majorOf = (device: number): number => (device >>> 8) & 0xfff;
export const minorOf = (device: number): number => (device & 0xff) | ((device >>> 12) & 0xfff00);
