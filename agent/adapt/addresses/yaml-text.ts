/**
 * Reads the YAML that people and installers write for a network: mappings and lists in lines or in brackets,
 * and values of one line. What it reads it reads as YAML does; everything else it refuses.
 */

/** All values are text. `from`, `to`: the lines of a node, without the one after it. */
export type YamlNode = { from: number; to: number } & (
  | { kind: "value"; text: string }
  | { kind: "list"; items: YamlNode[] }
  | { kind: "map"; isInLines: boolean; indent: number; entries: YamlEntry[] }
);

export interface YamlEntry {
  key: string;
  from: number;
  to: number;
  value: YamlNode;
}

/** The same without lines. */
export type YamlValue = string | YamlValue[] | { [key: string]: YamlValue };

/** Why a text cannot be read. Its message names the line. */
export class YamlNotReadError extends Error {
  override readonly name = "YamlNotReadError";

  constructor(line: number, what: string) {
    super(`line ${line + 1}: ${what}`);
  }
}

/** Throws `YamlNotReadError`. */
export function readYaml(text: string): YamlNode {
  const lines = text.split("\n").flatMap((raw, number): Line[] => {
    const line = withoutComment(raw.replace(/\r$/, ""), number);
    return line.trim() === "" || (number === 0 && line === "---") ? [] : [lineOf(line, number)];
  });
  // Comments may come before the start of the document.
  if (lines[0]?.text === "---") lines.shift();
  const reader = new LineReader(lines);
  const node = reader.block(0);
  reader.requireEnd();
  return node;
}

export function plainOf(node: YamlNode): YamlValue {
  if (node.kind === "value") return node.text;
  if (node.kind === "list") return node.items.map(plainOf);
  return Object.fromEntries(node.entries.map(({ key, value }) => [key, plainOf(value)]));
}

export function yamlEntry(node: YamlNode | undefined, key: string): YamlEntry | undefined {
  return node?.kind === "map" ? node.entries.find((one) => one.key === key) : undefined;
}

interface Line {
  number: number;
  indent: number;
  text: string;
}

function lineOf(line: string, number: number): Line {
  const [blank = ""] = /^\s*/.exec(line) ?? [];
  if (blank.includes("\t")) throw new YamlNotReadError(number, "a tab");
  return { number, indent: blank.length, text: line.trim() };
}

/** Quotes in the middle of a word are letters. */
function withoutComment(line: string, number: number): string {
  let quote: string | undefined;
  for (let at = 0; at < line.length; at++) {
    const [letter = "", before = " "] = [line[at], line[at - 1]];
    if (quote === undefined && letter === "#" && /\s/.test(before)) return line.slice(0, at).trimEnd();
    if (quote === undefined && /["']/.test(letter) && /[\s[{,:]/.test(before)) quote = letter;
    else if (letter === quote) quote = undefined;
  }
  if (quote !== undefined) throw new YamlNotReadError(number, "a quote that is open at the end of the line");
  return line.trimEnd();
}

class LineReader {
  readonly #lines: Line[];
  #at = 0;

  constructor(lines: Line[]) {
    this.#lines = lines;
  }

  requireEnd(): void {
    const line = this.#lines[this.#at];
    if (line) throw new YamlNotReadError(line.number, "its indentation fits nothing before it");
  }

  /** What begins at the next line, if that is indented at least so far; an empty value otherwise. */
  block(least: number): YamlNode {
    const line = this.#lines[this.#at];
    if (!line || line.indent < least) return { kind: "value", text: "", from: 0, to: 0 };
    if (isItem(line)) return this.#list(line);
    return pairOf(line) ? this.#map(line) : this.#single(line);
  }

  #list({ indent, number: from }: Line): YamlNode {
    const items: YamlNode[] = [];
    for (
      let line = this.#lines[this.#at];
      line?.indent === indent && isItem(line);
      line = this.#lines[this.#at]
    ) {
      const { number } = line;
      const rest = line.text.slice(1).trimStart();
      if (rest === "") this.#at++;
      else this.#lines[this.#at] = { number, indent: indent + line.text.length - rest.length, text: rest };
      items.push({ ...this.block(indent + 1), from: number, to: this.#end() });
    }
    return { kind: "list", items, from, to: this.#end() };
  }

  #map({ indent, number: from }: Line): YamlNode {
    const entries: YamlEntry[] = [];
    for (let line = this.#lines[this.#at]; line?.indent === indent; line = this.#lines[this.#at]) {
      const pair = isItem(line) ? undefined : pairOf(line);
      if (!pair) throw new YamlNotReadError(line.number, "neither a key nor an item");
      if (entries.some(({ key }) => key === pair.key))
        throw new YamlNotReadError(line.number, `${pair.key} again`);
      this.#at++;
      const value = pair.rest === "" ? this.#below(indent) : valueIn(pair.rest, line.number);
      entries.push({ key: pair.key, from: line.number, to: this.#end(), value });
      const next = this.#lines[this.#at];
      if (next && next.indent > indent) throw new YamlNotReadError(next.number, "a value of several lines");
    }
    return { kind: "map", isInLines: true, indent, entries, from, to: this.#end() };
  }

  /** Of a key. A list may be indented as far as the key. */
  #below(indent: number): YamlNode {
    const next = this.#lines[this.#at];
    return this.block(next && next.indent === indent && isItem(next) ? indent : indent + 1);
  }

  #single({ number, text }: Line): YamlNode {
    this.#at++;
    return valueIn(text, number);
  }

  /** After the last line that was read. */
  #end(): number {
    return (this.#lines[this.#at - 1]?.number ?? -1) + 1;
  }
}

const isItem = ({ text }: Line): boolean => text === "-" || text.startsWith("- ");

function pairOf({ text, number }: Line): { key: string; rest: string } | undefined {
  const quoted = /^(["'])([^"'\\]*)\1\s*:(?:\s+(.*))?$/.exec(text);
  if (quoted) return { key: quoted[2] ?? "", rest: quoted[3] ?? "" };
  const [, key, rest = ""] = /^([^\s"'[\]{},].*?)\s*:(?:\s+(.*))?$/.exec(text) ?? [];
  if (key === undefined) return undefined;
  if (/^[&*!|>%@`?]|^<<$/.test(key)) throw new YamlNotReadError(number, `the key ${key}`);
  return { key, rest };
}

/** A value of one line. */
function valueIn(text: string, line: number): YamlNode {
  const read = inBrackets(text, line);
  if (read.rest.trim() !== "") throw new YamlNotReadError(line, `${read.rest.trim()} after a value`);
  return read.node;
}

function inBrackets(text: string, line: number, ends?: RegExp): { node: YamlNode; rest: string } {
  const place = { from: line, to: line + 1 };
  const [first = ""] = text;
  if (first === "[" || first === "{") return inside(text, line);
  if (first === '"' || first === "'") {
    const [whole, value = ""] = (first === '"' ? /^"([^"\\]*)"/ : /^'((?:[^']|'')*)'/).exec(text) ?? [];
    if (whole === undefined) throw new YamlNotReadError(line, `the quoted text ${text}`);
    const plain = first === "'" ? value.replaceAll("''", "'") : value;
    return { node: { kind: "value", text: plain, ...place }, rest: text.slice(whole.length) };
  }
  if (/^[&*!|>%@`]/.test(first)) throw new YamlNotReadError(line, `the value ${text}`);
  const at = ends ? text.search(ends) : -1;
  const plain = at < 0 ? text : text.slice(0, at);
  if (/:\s|\s:$/.test(plain)) throw new YamlNotReadError(line, `the value ${plain}`);
  return { node: { kind: "value", text: plain.trim(), ...place }, rest: at < 0 ? "" : text.slice(at) };
}

/** `[a, b]` or `{a: b}`. */
function inside(text: string, line: number): { node: YamlNode; rest: string } {
  const place = { from: line, to: line + 1 };
  const isList = text.startsWith("[");
  const close = isList ? "]" : "}";
  const items: YamlNode[] = [];
  const entries: YamlEntry[] = [];
  let rest = text.slice(1).trimStart();
  while (!rest.startsWith(close)) {
    if (rest === "") throw new YamlNotReadError(line, "a bracket that is open at the end of the line");
    if (!isList) {
      const [whole, , quoted, plain] =
        /^(?:(["'])([^"'\\]*)\1|([^\s"'[\]{},:][^[\]{},]*?))\s*:\s*/.exec(rest) ?? [];
      const key = quoted ?? plain;
      if (whole === undefined || key === undefined) throw new YamlNotReadError(line, `${rest} in brackets`);
      const read = inBrackets(rest.slice(whole.length), line, /[,}]/);
      if (entries.some((one) => one.key === key)) throw new YamlNotReadError(line, `${key} again`);
      entries.push({ key, ...place, value: read.node });
      rest = read.rest.trimStart();
    } else {
      const read = inBrackets(rest, line, /[,\]]/);
      items.push(read.node);
      rest = read.rest.trimStart();
    }
    if (rest.startsWith(",")) rest = rest.slice(1).trimStart();
    else if (!rest.startsWith(close)) throw new YamlNotReadError(line, `${rest} in brackets`);
  }
  const node: YamlNode = isList
    ? { kind: "list", items, ...place }
    : { kind: "map", isInLines: false, indent: 0, entries, ...place };
  return { node, rest: rest.slice(1) };
}
