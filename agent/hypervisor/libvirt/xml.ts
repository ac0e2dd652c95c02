/** One element of an XML document. */
export interface XmlElement {
  name: string;
  attributes: Readonly<Record<string, string | number>>;
  children: readonly (XmlElement | string)[];
}

/** Attributes that are `undefined` are left out. Names are the program's own, never another machine's. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number | undefined>> = {},
  ...children: readonly (XmlElement | string | undefined)[]
): XmlElement {
  const present = Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, value] as const],
  );
  return {
    name,
    attributes: Object.fromEntries(present),
    children: children.filter((child) => child !== undefined),
  };
}

/** The element as text, with a line for each element that has others in it. */
export function renderXml(root: XmlElement, indent = ""): string {
  const attributes = Object.entries(root.attributes).map(
    ([key, value]) => ` ${key}="${escaped(`${value}`)}"`,
  );
  const open = `${indent}<${root.name}${attributes.join("")}`;
  if (root.children.length === 0) return `${open}/>\n`;
  const isText = root.children.every((child) => typeof child === "string");
  if (isText) return `${open}>${escaped(root.children.join(""))}</${root.name}>\n`;
  const inner = root.children.map((child) =>
    typeof child === "string" ? `${indent}  ${escaped(child)}\n` : renderXml(child, `${indent}  `),
  );
  return `${open}>\n${inner.join("")}${indent}</${root.name}>\n`;
}

/** Characters that XML 1.0 allows nowhere, not even escaped: https://www.w3.org/TR/xml/#charsets */
const IMPOSSIBLE = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu;
const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

function escaped(text: string): string {
  return text
    .replace(IMPOSSIBLE, "\u{fffd}")
    .replace(/[&<>"']/g, (sign) => ESCAPES[sign] as string)
    .replace(/[\t\n\r]/g, (space) => `&#${space.charCodeAt(0)};`);
}
