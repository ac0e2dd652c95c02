import { GuestAnswerInvalidError } from "#agent/browse/errors.ts";
import type { Entry, EntryType } from "#agent/browse/messages.ts";
import type { ReplyPart } from "#agent/browse/reply.ts";
import { tarEnd, tarHeader, tarPadding } from "#agent/browse/tar.ts";
import { pathText } from "#shared/path-text.ts";
import { bytes } from "#shared/units.ts";
import type { CliCall } from "./command.ts";
import { NewFile } from "./new-file.ts";
import { ProgressLine } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

/** What the guest answers about one path: the entry at it, and what is inside of it. */
export type PathAnswer = AsyncGenerator<Exclude<ReplyPart, { kind: "failed" | "end" }>, void>;

export interface BrowsedPlace {
  id: string;
  disk: string;
  volume: string;
  path: string;
}

const LETTERS: Record<EntryType, string> = {
  file: "-",
  folder: "d",
  link: "l",
  "block device": "b",
  "character device": "c",
  pipe: "p",
  socket: "s",
};

/** Prints the entries of a folder, or the entry of anything else, as they arrive. */
export async function listPath(call: CliCall, place: BrowsedPlace, answer: PathAnswer): Promise<void> {
  const { terminal, json } = call;
  const document: unknown[] = [];
  for await (const part of answer) {
    if (part.kind !== "entry") continue;
    const { entry, path } = part;
    if (entry.type === "folder" && path.length === 1) continue;
    if (json) document.push(entryDocument(entry));
    else terminal.out(`${entryLine(entry)}\n`);
  }
  if (json) terminal.out(`${JSON.stringify({ ...place, entries: document })}\n`);
}

/**
 * Writes the file, or a tar of the folder, and says how much it was. Leaves nothing behind if the answer
 * fails.
 */
export async function writePath(
  call: CliCall,
  { output, ...place }: BrowsedPlace & { output: string },
  answer: PathAnswer,
): Promise<void> {
  const { terminal } = call;
  const line = new ProgressLine(terminal);
  const file = output === "-" ? undefined : await NewFile.create(output);
  const written = { bytes: 0, entries: 0, sockets: 0 };
  const write = async (part: Uint8Array) => {
    written.bytes += part.length;
    line.show(`write  ${bytes(written.bytes)}`);
    await (file ? file.write(part) : terminal.outBytes(part));
  };
  try {
    const format = await writeAnswer(answer, write, written);
    await file?.finish();
    line.end();
    report(call, { ...place, output, format, ...written });
  } finally {
    line.end();
    await file?.close();
  }
}

async function writeAnswer(
  answer: PathAnswer,
  write: (part: Uint8Array) => Promise<void>,
  written: { entries: number; sockets: number },
): Promise<"file" | "tar"> {
  let format: "file" | "tar" | undefined;
  let padding: Buffer = Buffer.alloc(0);
  for await (const part of answer) {
    if (part.kind === "data") {
      await write(part.bytes);
      continue;
    }
    const { entry, path, first } = part;
    format ??= entry.type === "folder" ? "tar" : "file";
    written.entries += 1;
    if (format === "file") continue;
    // The file before this entry is complete by now.
    await write(padding);
    padding = entry.type === "file" ? tarPadding(entry.sizeBytes) : Buffer.alloc(0);
    if (entry.type === "socket") written.sockets += 1;
    await write(tarHeader(entry, path, first));
  }
  if (format === undefined) throw new GuestAnswerInvalidError("it has no entry");
  if (format === "tar") await write(Buffer.concat([padding, tarEnd()]));
  return format;
}

interface Written extends BrowsedPlace {
  output: string;
  format: "file" | "tar";
  bytes: number;
  entries: number;
  sockets: number;
}

function report({ terminal, json }: CliCall, done: Written): void {
  if (json) terminal.out(`${JSON.stringify(done)}\n`);
  const { output, format, entries, sockets } = done;
  const what = format === "tar" ? `, a tar of ${entries} entries` : "";
  if (output === "-") sayTo(terminal, `${bytes(done.bytes)} written${what}`);
  else if (!json) terminal.out(`${output}: ${bytes(done.bytes)}${what}\n`);
  if (sockets > 0) sayTo(terminal, `${sockets} sockets are left out: a tar cannot hold them`);
}

function sayTo(terminal: Terminal, text: string): void {
  terminal.err(`${text}\n`);
}

/** `-rw-r--r--           120  2026-01-31 09:30:00  fstab`. */
function entryLine(entry: Entry): string {
  const { type, mode, sizeBytes, modifiedSeconds, name, target } = entry;
  const size = type === "file" ? String(sizeBytes) : "-";
  const leads = target ? ` -> ${pathText(target)}` : "";
  return `${LETTERS[type]}${modeText(mode)}  ${size.padStart(14)}  ${timeText(modifiedSeconds)}  ${pathText(name)}${leads}`;
}

function entryDocument({ say, name, target, ...entry }: Entry): unknown {
  const isText = Buffer.from(name.toString("utf8"), "utf8").equals(name);
  return {
    name: pathText(name),
    // For programs, where the name is not text.
    ...(isText ? {} : { nameBase64: name.toString("base64") }),
    ...entry,
    mode: entry.mode.toString(8).padStart(4, "0"),
    ...(target ? { target: pathText(target) } : {}),
  };
}

/** As `ls` shows permissions. */
function modeText(mode: number): string {
  const bits = [0o400, 0o200, 0o100, 0o040, 0o020, 0o010, 0o004, 0o002, 0o001];
  const letters = bits.map((bit, at) => ((mode & bit) !== 0 ? ("rwx"[at % 3] ?? "") : "-"));
  const special: [number, number, string][] = [
    [0o4000, 2, "s"],
    [0o2000, 5, "s"],
    [0o1000, 8, "t"],
  ];
  for (const [bit, at, letter] of special)
    if ((mode & bit) !== 0) letters[at] = letters[at] === "x" ? letter : letter.toUpperCase();
  return letters.join("");
}

/** In UTC; what is beyond a calendar is shown in seconds. */
function timeText(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return `${seconds} s`.padEnd(19);
  return date.toISOString().slice(0, -5).replace("T", " ");
}
