/** The small part of XML that S3 uses: elements and text. Attributes are ignored. */
import { S3Error } from "./s3-error.ts";

/** An element's content: text, children, or repeated children. Undefined ones are left out. */
export type XmlContent = string | number | boolean | XmlObject;
export interface XmlObject {
  [name: string]: XmlContent | XmlContent[] | undefined;
}

const NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";

export function renderXml(
  root: string,
  content: XmlContent,
  namespace: string | undefined = NAMESPACE,
): string {
  const opening = namespace ? `<${root} xmlns="${namespace}">` : `<${root}>`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n${opening}${renderContent(content)}</${root}>`;
}

function renderContent(content: XmlContent): string {
  if (typeof content !== "object") return escapeText(String(content));
  return Object.entries(content)
    .flatMap(([name, value]) =>
      value === undefined ? [] : [value].flat().map((item) => renderElement(name, item)),
    )
    .join("");
}

function renderElement(name: string, content: XmlContent): string {
  return `<${name}>${renderContent(content)}</${name}>`;
}

function escapeText(text: string): string {
  // Write control characters as references: a parser would turn a bare carriage return into a line feed.
  return text.replace(/[&<>"\p{Cc}\ufffe\uffff]/gu, (character) => {
    const named = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" }[character];
    return named ?? `&#x${character.charCodeAt(0).toString(16).toUpperCase()};`;
  });
}

export interface XmlElement {
  name: string;
  children: XmlElement[];
  /** All text directly inside. */
  text: string;
}

const TOKEN =
  /<\?[^>]*\?>|<(\/?)([A-Za-z][\w.-]*)((?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/y;

/** Parses a document without DOCTYPE, CDATA and comments. Throws `MalformedXML`. */
export function parseXml(document: Buffer): XmlElement {
  const source = document.toString("utf8");
  const root: XmlElement = { name: "", children: [], text: "" };
  const open = [root];
  const token = new RegExp(TOKEN);
  while (token.lastIndex < source.length) {
    const match = token.exec(source);
    const parent = open.at(-1);
    if (!match || !parent) throw new S3Error("MalformedXML");
    const [, closing, name, , empty, text] = match;
    if (text !== undefined) {
      parent.text += unescapeText(text);
    } else if (name !== undefined && closing) {
      if (open.pop()?.name !== name) throw new S3Error("MalformedXML");
    } else if (name !== undefined) {
      const element: XmlElement = { name, children: [], text: "" };
      parent.children.push(element);
      if (!empty) open.push(element);
    }
  }
  const [document_, ...others] = root.children;
  if (open.length !== 1 || !document_ || others.length > 0 || root.text.trim() !== "")
    throw new S3Error("MalformedXML");
  return document_;
}

/** The text of the child with this name. Returns `undefined` if there is none. */
export function childText({ children }: XmlElement, name: string): string | undefined {
  return children.find((child) => child.name === name)?.text;
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapeText(text: string): string {
  return text.replace(/\r\n?/g, "\n").replace(/&([^;&]*;?)/g, (_, terminated: string) => {
    if (!terminated.endsWith(";")) throw new S3Error("MalformedXML");
    const reference = terminated.slice(0, -1);
    const numeric = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(reference);
    const code = numeric ? Number.parseInt(numeric[1] ?? numeric[2] ?? "", numeric[1] ? 16 : 10) : undefined;
    if (code !== undefined && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff))
      return String.fromCodePoint(code);
    const named = ENTITIES[reference];
    if (named === undefined) throw new S3Error("MalformedXML");
    return named;
  });
}
