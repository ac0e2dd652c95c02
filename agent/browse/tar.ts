import type { Entry, EntryType } from "./messages.ts";

/**
 * A tar in GNU's form: names are bytes of any length, and numbers are as large as they need to be. GNU tar,
 * bsdtar and busybox read it. https://www.gnu.org/software/tar/manual/html_node/Standard.html
 */

const RECORD_BYTES = 512;
const NAME_BYTES = 100;
const LONG_NAME = Buffer.from("././@LongLink");
const KIND = { longTarget: "K", longName: "L", otherName: "1" } as const;

/** A socket has no kind: it means something only to the process that made it. */
const KINDS: Partial<Record<EntryType, string>> = {
  file: "0",
  link: "2",
  "character device": "3",
  "block device": "4",
  folder: "5",
  pipe: "6",
};

/**
 * The header of an entry, with everything that comes before it; the file's bytes and `tarPadding` follow.
 * Empty for what a tar cannot hold (sockets), and for the top of a volume, which has no name. `first`: the
 * path of the entry that is the same file.
 */
export function tarHeader(entry: Entry, path: readonly Buffer[], first?: readonly Buffer[]): Buffer {
  const kind = first ? KIND.otherName : KINDS[entry.type];
  const name: Buffer = joined(path, entry.type === "folder");
  if (kind === undefined || name.length === 0) return Buffer.alloc(0);
  const target: Buffer = first ? joined(first, false) : (entry.target ?? Buffer.alloc(0));
  return Buffer.concat([
    ...(target.length > NAME_BYTES ? [longName(KIND.longTarget, target)] : []),
    ...(name.length > NAME_BYTES ? [longName(KIND.longName, name)] : []),
    header({ ...entry, kind, name, target }),
  ]);
}

/** The zeros after a file of this size. */
export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((RECORD_BYTES - (sizeBytes % RECORD_BYTES)) % RECORD_BYTES);
}

/** The end of the archive. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * RECORD_BYTES);
}

/** Names from the top of the archive; the first may be empty. */
function joined(path: readonly Buffer[], isFolder: boolean): Buffer {
  const names = path.filter((name) => name.length > 0);
  const slash = Buffer.from("/");
  const parts = names.flatMap((name, at) => (at === 0 ? [name] : [slash, name]));
  return Buffer.concat(isFolder && parts.length > 0 ? [...parts, slash] : parts);
}

function longName(kind: string, name: Buffer): Buffer {
  const content = Buffer.concat([name, Buffer.alloc(1)]);
  const facts = { mode: 0o644, uid: 0, gid: 0, modifiedSeconds: 0, target: Buffer.alloc(0) };
  return Buffer.concat([
    header({ ...facts, kind, name: LONG_NAME, sizeBytes: content.length }),
    content,
    tarPadding(content.length),
  ]);
}

type HeaderFacts = Omit<Entry, "say" | "type" | "name" | "target"> & {
  kind: string;
  name: Buffer;
  target: Buffer;
};

function header(facts: HeaderFacts): Buffer {
  const { kind, name, mode, uid, gid, sizeBytes, modifiedSeconds, target, major = 0, minor = 0 } = facts;
  const record = Buffer.alloc(RECORD_BYTES);
  name.copy(record, 0, 0, NAME_BYTES);
  number(record, 100, 8, mode);
  number(record, 108, 8, uid);
  number(record, 116, 8, gid);
  number(record, 124, 12, sizeBytes);
  number(record, 136, 12, modifiedSeconds);
  record.write(kind, 156, "latin1");
  target.copy(record, 157, 0, NAME_BYTES);
  record.write("ustar  \0", 257, "latin1");
  if (kind === KINDS["character device"] || kind === KINDS["block device"]) {
    number(record, 329, 8, major);
    number(record, 337, 8, minor);
  }
  record.fill(" ", 148, 156);
  const sum = record.reduce((total, byte) => total + byte, 0);
  record.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return record;
}

/** Octal digits, or for numbers that do not fit, or are negative, big-endian bytes with the first bit set. */
function number(record: Buffer, at: number, width: number, value: number): void {
  const digits = value.toString(8);
  if (value >= 0 && digits.length < width) {
    record.write(`${digits.padStart(width - 1, "0")}\0`, at, "latin1");
    return;
  }
  record.fill(value < 0 ? 0xff : 0, at, at + width);
  const bytes = Math.min(8, width - 1);
  const low = Buffer.alloc(8);
  low.writeBigInt64BE(BigInt(value));
  low.copy(record, at + width - bytes, 8 - bytes);
  record.writeUInt8(value < 0 ? 0xff : 0x80, at);
}
