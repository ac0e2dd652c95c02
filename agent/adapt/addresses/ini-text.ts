import { EditedLines } from "./edited-lines.ts";

export interface IniSection {
  name: string;
  /** The line of its heading; -1 for what comes before the first one. */
  header: number;
  entries: IniEntry[];
}

export interface IniEntry {
  line: number;
  key: string;
  value: string;
}

/** A file of sections with keys and values, as systemd and NetworkManager read them, and its changes. */
export class IniText {
  readonly #edited: EditedLines;
  readonly #sections: IniSection[] = [];
  readonly #appended: { name: string; lines: string[] }[] = [];

  constructor(text: string) {
    this.#edited = new EditedLines(text);
    for (const [line, raw] of this.#edited.lines.entries()) {
      const trimmed = raw.trim();
      if (trimmed === "" || trimmed.startsWith("#") || trimmed.startsWith(";")) continue;
      const heading = /^\[(.+)\]$/.exec(trimmed)?.[1];
      if (heading !== undefined) this.#sections.push({ name: heading, header: line, entries: [] });
      const [, key = "", value = ""] = /^([^=]+?)\s*=\s*(.*)$/.exec(trimmed) ?? [];
      if (heading === undefined && key !== "") this.#sections.at(-1)?.entries.push({ line, key, value });
    }
  }

  /** A value continues on the next line, which is not read here. */
  get isContinued(): boolean {
    return this.#edited.lines.some((line) => line.endsWith("\\"));
  }

  get isEmpty(): boolean {
    return this.#sections.every(({ entries }) => entries.length === 0);
  }

  sections(...names: string[]): IniSection[] {
    return this.#sections.filter(({ name }) => names.includes(name));
  }

  entries(section: string, key: string): IniEntry[] {
    return this.sections(section).flatMap(({ entries }) => entries.filter((one) => one.key === key));
  }

  /** Of several, the last counts. */
  value(section: string, key: string): string | undefined {
    return this.entries(section, key).at(-1)?.value;
  }

  set({ line, key }: IniEntry, value: string): void {
    this.#edited.replace(line, `${key}=${value}`);
  }

  remove(entries: readonly IniEntry[]): void {
    for (const { line } of entries) this.#edited.remove(line);
  }

  /** At the end of a section's entries; the section is made if there is none. */
  add(section: string, ...entries: string[]): void {
    const [found] = this.sections(section);
    const appended = this.#appended.find(({ name }) => name === section);
    if (found) this.addTo(found, ...entries);
    else if (appended) appended.lines.push(...entries);
    else this.addSection(section, ...entries);
  }

  addTo({ header, entries }: IniSection, ...added: string[]): void {
    this.#edited.addAfter(entries.at(-1)?.line ?? header, ...added);
  }

  /** At the end of the file. */
  addSection(name: string, ...entries: string[]): void {
    this.#appended.push({ name, lines: entries });
  }

  get text(): string {
    const { text } = this.#edited;
    if (this.#appended.length === 0) return text;
    const before = text.trim() === "" ? [] : [text.replace(/\n*$/, "\n")];
    const sections = this.#appended.map(({ name, lines }) => [`[${name}]`, ...lines, ""].join("\n"));
    return [...before, ...sections].join("\n");
  }
}
