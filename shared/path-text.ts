/**
 * Names and paths of another machine's file system, which are bytes, as text for a terminal and back. What
 * cannot be shown (control characters, characters that change the writing direction, bytes that are not
 * UTF-8) becomes `\xNN` for each byte, and a backslash becomes two. So every path can be typed as it is
 * shown.
 */

const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u;

export function pathText(bytes: Uint8Array): string {
  const whole = Buffer.from(bytes);
  const text = whole.toString("utf8");
  if (Buffer.from(text, "utf8").equals(whole)) return [...text].map(shownCharacter).join("");
  return [...whole]
    .map((byte) => (byte < 0x80 ? shownCharacter(String.fromCharCode(byte)) : hexOf(byte)))
    .join("");
}

/** The bytes of a path as `pathText` shows it. */
export function pathBytes(text: string): Buffer {
  const parts = text.match(/\\x[0-9a-fA-F]{2}|\\\\|./gsu) ?? [];
  return Buffer.concat(
    parts.map((part) => {
      if (part === "\\\\") return Buffer.from("\\");
      return part.length === 4 && part.startsWith("\\x")
        ? Buffer.from(part.slice(2), "hex")
        : Buffer.from(part, "utf8");
    }),
  );
}

function shownCharacter(character: string): string {
  if (character === "\\") return "\\\\";
  return HIDDEN.test(character) ? [...Buffer.from(character, "utf8")].map(hexOf).join("") : character;
}

const hexOf = (byte: number): string => `\\x${byte.toString(16).padStart(2, "0")}`;
