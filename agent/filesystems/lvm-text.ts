import { doubt } from "./doubt.ts";

/** LVM's metadata text: sections of named values. */
export type LvmValue = number | string | (number | string)[] | LvmSection;
export interface LvmSection {
  [name: string]: LvmValue;
}

const TOKEN = /\s+|#[^\n]*|"((?:[^"\\]|\\.)*)"|(-?\d+(?:\.\d+)?)|([A-Za-z_0-9.+-]+)|([{}[\]=,])/y;
const DEPTH_LIMIT = 16;

interface Token {
  kind: "text" | "number" | "name" | "mark";
  value: string;
}

/** Throws `DoubtError` for anything that does not parse. */
export function parseLvmText(text: string): LvmSection {
  const tokens = tokenise(text);
  let next = 0;
  const peek = () => tokens[next];
  const take = () => tokens[next++] ?? doubt("its LVM metadata ends early");
  const expectMark = (mark: string) => {
    const token = take();
    if (token.kind !== "mark" || token.value !== mark) doubt("its LVM metadata is damaged");
  };
  const isMark = (mark: string) => peek()?.kind === "mark" && peek()?.value === mark;

  function section(depth: number): LvmSection {
    if (depth > DEPTH_LIMIT) doubt("its LVM metadata is nested too deeply");
    // Without a prototype, because the names come from the disk.
    const values: LvmSection = Object.create(null);
    while (peek() && !isMark("}")) {
      const name = take();
      if (name.kind !== "name" && name.kind !== "number") doubt("its LVM metadata is damaged");
      if (name.value in values) doubt("its LVM metadata names something twice");
      if (isMark("{")) {
        take();
        values[name.value] = section(depth + 1);
        expectMark("}");
      } else {
        expectMark("=");
        values[name.value] = value();
      }
    }
    return values;
  }

  function value(): LvmValue {
    if (!isMark("[")) return scalar();
    take();
    const list: (number | string)[] = [];
    while (!isMark("]")) {
      list.push(scalar());
      if (isMark(",")) take();
    }
    take();
    return list;
  }

  function scalar(): number | string {
    const token = take();
    if (token.kind === "number") return Number(token.value);
    if (token.kind === "text") return token.value;
    return doubt("its LVM metadata is damaged");
  }

  const root = section(0);
  if (next < tokens.length) doubt("its LVM metadata is damaged");
  return root;
}

function tokenise(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const match = TOKEN.exec(text) ?? doubt("its LVM metadata is damaged");
    const [, quoted, number, name, mark] = match;
    if (quoted !== undefined) tokens.push({ kind: "text", value: quoted.replace(/\\(.)/g, "$1") });
    else if (number !== undefined) tokens.push(numberOrName(number, text));
    else if (name !== undefined) tokens.push({ kind: "name", value: name });
    else if (mark !== undefined) tokens.push({ kind: "mark", value: mark });
  }
  return tokens;
}

/** A volume's name can begin with digits; the number was then only its first part. */
function numberOrName(number: string, text: string): Token {
  const rest = /[A-Za-z_0-9.+-]*/y;
  rest.lastIndex = TOKEN.lastIndex;
  const tail = rest.exec(text)?.[0] ?? "";
  TOKEN.lastIndex += tail.length;
  return tail === "" ? { kind: "number", value: number } : { kind: "name", value: number + tail };
}
