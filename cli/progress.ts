import { oneLine, type Terminal } from "./terminal.ts";

/** A progress line: rewritten in place on a terminal; in a log, printed again when its first part changes. */
export class ProgressLine {
  readonly #terminal: Terminal;
  #shown = "";

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(text: string): void {
    const line = oneLine(text);
    if (this.#terminal.interactive) {
      this.#terminal.err(`\r\u001b[K${line.slice(0, this.#terminal.columns - 1)}`);
      this.#shown = line;
      return;
    }
    const stage = (text: string): string => text.split("  ", 1)[0] ?? "";
    if (stage(line) !== stage(this.#shown)) this.#terminal.err(`${line}\n`);
    this.#shown = line;
  }

  /** Prints a line that stays, above this one. */
  keep(text: string): void {
    this.#terminal.err(`${this.#terminal.interactive ? "\r\u001b[K" : ""}${oneLine(text)}\n`);
  }

  /** Leaves the line and starts a new one. */
  end(): void {
    if (this.#terminal.interactive && this.#shown) this.#terminal.err("\r\u001b[K");
    this.#shown = "";
  }
}
