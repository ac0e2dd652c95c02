/** A sequence by which a program moves a terminal's cursor or changes its colours. */
const TERMINAL_SEQUENCE = /\p{Cc}\[[0-?]*[ -/]*[@-~]/gu;
/** Control characters, and characters that change how the text around them is shown. */
const NOT_PRINTABLE = /[^\P{C}\n\t]|[\p{Zl}\p{Zp}]/gu;

/** The text without what a terminal or a reader of a log could mistake. Keeps line feeds and tabs. */
export function printable(text: string): string {
  return text
    .replaceAll(/\r\n?/g, "\n")
    .replaceAll(TERMINAL_SEQUENCE, "")
    .replaceAll(NOT_PRINTABLE, "\u{fffd}");
}

/** The last line that has something else than space; `undefined` if there is none. */
export function lastLine(text: string): string | undefined {
  return text
    .split("\n")
    .findLast((line) => line.trim() !== "")
    ?.trim();
}

const LIMIT_CHARACTERS = 200;

/** The part of a text that fits into a report. */
export function clipWords(text: string): string {
  return text.length > LIMIT_CHARACTERS ? `${text.slice(0, LIMIT_CHARACTERS - 1)}…` : text;
}
