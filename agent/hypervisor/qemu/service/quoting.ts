/** Any text as one word of a shell's command. Throws `RangeError` for a NUL, which no word can have. */
export function shellWord(text: string): string {
  if (text.includes("\0")) throw new RangeError("a NUL in a word of a shell");
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * The text as one quoted path in a systemd unit: a program to run, or a folder. In these places, systemd
 * replaces specifiers but no variables. Throws `RangeError` for characters that end a line there.
 */
export function unitPath(text: string): string {
  if (/[\0\n\r]/.test(text)) throw new RangeError("a line break in a path of a unit");
  return `"${text.replaceAll("%", "%%").replace(/["\\]/g, (sign) => `\\${sign}`)}"`;
}

/** Any text as part of one line of prose in a unit or a comment. */
export function unitProse(text: string): string {
  return text.replace(/[^\x20-\x5b\x5d-\x7e]/g, "?").replaceAll("%", "%%");
}
