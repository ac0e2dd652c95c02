/**
 * GRUB's environment block: a signature line, lines of `name=value`, and `#` up to the end. GRUB writes it
 * back block by block, so its length never changes.
 */
export const GRUB_ENVIRONMENT_BYTES = 1024;

const SIGNATURE = "# GRUB Environment Block\n";
const PADDING = "#";
const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;

export interface GrubEnvironment {
  /** Unchanged, each with its line end, and including comments, so that nothing unknown is lost. */
  readonly lines: readonly Buffer[];
  readonly sizeBytes: number;
}

/**
 * Returns `undefined` if GRUB would not accept it, or if a change could not be undone by changing it back.
 */
export function decodeGrubEnvironment(bytes: Uint8Array): GrubEnvironment | undefined {
  const block = Buffer.from(bytes);
  if (
    block.length < GRUB_ENVIRONMENT_BYTES ||
    !block.subarray(0, SIGNATURE.length).equals(Buffer.from(SIGNATURE))
  ) {
    return undefined;
  }
  let end = block.length;
  while (end > SIGNATURE.length && block[end - 1] === PADDING.charCodeAt(0)) end--;
  const lines: Buffer[] = [];
  for (let at = SIGNATURE.length; at < end; ) {
    const next = endOfLine(block, at, end);
    // If the last line has no end, the next variable would be written behind it.
    if (next === undefined) return undefined;
    lines.push(block.subarray(at, next));
    at = next;
  }
  return { lines, sizeBytes: block.length };
}

/** A newline after a backslash belongs to the value. */
function endOfLine(block: Buffer, start: number, end: number): number | undefined {
  for (let at = start; at < end; at++) {
    if (block[at] === BACKSLASH) at++;
    else if (block[at] === NEWLINE) return at + 1;
  }
  return undefined;
}

/** The bytes that it was decoded from, if nothing was changed. Throws `RangeError` if it does not fit. */
export function encodeGrubEnvironment({ lines, sizeBytes }: GrubEnvironment): Buffer {
  const content = Buffer.concat([Buffer.from(SIGNATURE), ...lines]);
  if (content.length > sizeBytes)
    throw new RangeError("the variables do not fit into GRUB's environment block");
  return Buffer.concat([content, Buffer.alloc(sizeBytes - content.length, PADDING)]);
}

export function grubVariable(environment: GrubEnvironment, name: string): string | undefined {
  const start = Buffer.from(`${name}=`);
  const line = environment.lines.find((each) => isVariable(each, start));
  return line && unescapeValue(line.toString("utf8", start.length, line.length - 1));
}

/** Every variable of a block with its value, without comments; none if GRUB would not accept the block. */
export function environmentVariables(bytes: Uint8Array): [name: string, value: string][] {
  return (decodeGrubEnvironment(bytes)?.lines ?? []).flatMap((line) => {
    const [, name, value = ""] = /^([^#=\n][^=\n]*)=([\s\S]*)\n$/.exec(line.toString("utf8")) ?? [];
    return name === undefined ? [] : [[name, unescapeValue(value)] as [string, string]];
  });
}

/** The variables that one block has and the other has not, or with another value; with the later value. */
export function changedVariables(
  before: Uint8Array,
  now: Uint8Array,
): [name: string, value: string | undefined][] {
  const [earlier, later] = [before, now].map((bytes) => new Map(environmentVariables(bytes)));
  const names = new Set([...(earlier?.keys() ?? []), ...(later?.keys() ?? [])]);
  return [...names]
    .filter((name) => earlier?.get(name) !== later?.get(name))
    .map((name) => [name, later?.get(name)]);
}

/** Changes the variable where it stands, or appends it, as `grub-editenv` does. */
export function withGrubVariable(environment: GrubEnvironment, name: string, value: string): GrubEnvironment {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new RangeError(`${name} cannot be a variable of GRUB`);
  const start = Buffer.from(`${name}=`);
  const line = Buffer.concat([start, Buffer.from(`${escapeValue(value)}\n`)]);
  const at = environment.lines.findIndex((each) => isVariable(each, start));
  const lines = at < 0 ? [...environment.lines, line] : environment.lines.with(at, line);
  return { ...environment, lines };
}

export function withoutGrubVariable(environment: GrubEnvironment, name: string): GrubEnvironment {
  const start = Buffer.from(`${name}=`);
  return { ...environment, lines: environment.lines.filter((each) => !isVariable(each, start)) };
}

function isVariable(line: Buffer, start: Buffer): boolean {
  return line.subarray(0, start.length).equals(start);
}

function escapeValue(value: string): string {
  return value.replace(/[\\\n]/g, (character) => `\\${character}`);
}

function unescapeValue(text: string): string {
  return text.replace(/\\([\s\S])/g, "$1");
}
