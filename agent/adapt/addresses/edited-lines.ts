/** The lines of a text, and what some of them become. Lines keep their numbers, from 0. */
export class EditedLines {
  readonly lines: readonly string[];
  readonly #now: (string | undefined)[];
  readonly #added = new Map<number, string[]>();

  constructor(text: string) {
    this.lines = text.split("\n");
    this.#now = [...this.lines];
  }

  replace(line: number, text: string): void {
    this.#now[line] = text;
  }

  /** Replaces the last place of a text in a line, as far as that is still there. */
  replaceIn(line: number, from: string, to: string): void {
    const text = this.#now[line];
    const at = text?.lastIndexOf(from) ?? -1;
    if (text !== undefined && at >= 0)
      this.#now[line] = text.slice(0, at) + to + text.slice(at + from.length);
  }

  remove(line: number): void {
    this.#now[line] = undefined;
  }

  /** After a line, even if that is removed, and after what was added there before. */
  addAfter(line: number, ...texts: string[]): void {
    this.#added.set(line, [...(this.#added.get(line) ?? []), ...texts]);
  }

  get text(): string {
    return this.#now.flatMap((line, at) => [line ?? [], this.#added.get(at) ?? []].flat()).join("\n");
  }
}
