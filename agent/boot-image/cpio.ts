/**
 * One entry of an archive. Everything belongs to root and has the archive's time: what is not here cannot
 * differ between builds.
 */
export type ArchiveEntry =
  | { kind: "file"; path: string; mode: number; data: Uint8Array }
  | { kind: "directory"; path: string; mode: number }
  | { kind: "link"; path: string; target: string }
  | { kind: "character-device"; path: string; mode: number; major: number; minor: number };

const TYPE_BITS = { file: 0o100000, directory: 0o040000, link: 0o120000, "character-device": 0o020000 };
const TRAILER = "TRAILER!!!";
/** The kernel looks for the next archive at a multiple of 4; whole sectors suit boot loaders, too. */
const ARCHIVE_ALIGNMENT_BYTES = 512;

/**
 * A `newc` archive as the kernel unpacks it: entries sorted by path (so that folders come before their
 * content), owned by root, with one modification time. The same entries in any order give the same bytes.
 * Throws if a path occurs twice.
 */
export function writeArchive(entries: Iterable<ArchiveEntry>, modifiedSeconds: number): Buffer {
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const chunks: Uint8Array[] = [];
  let lengthBytes = 0;
  const push = (chunk: Uint8Array, alignment: number) => {
    chunks.push(chunk);
    lengthBytes += chunk.length;
    const padding = -lengthBytes & (alignment - 1);
    chunks.push(Buffer.alloc(padding));
    lengthBytes += padding;
  };
  let previous: string | undefined;
  for (const [index, entry] of sorted.entries()) {
    if (entry.path === previous) throw new RangeError(`${entry.path} occurs twice in an archive`);
    previous = entry.path;
    const data = contentOf(entry);
    push(header(entry, index + 1, data.length, modifiedSeconds), 4);
    push(data, 4);
  }
  push(trailer(), ARCHIVE_ALIGNMENT_BYTES);
  return Buffer.concat(chunks);
}

function contentOf(entry: ArchiveEntry): Uint8Array {
  if (entry.kind === "file") return entry.data;
  return Buffer.from(entry.kind === "link" ? entry.target : "", "utf8");
}

function header(entry: ArchiveEntry, inode: number, sizeBytes: number, modifiedSeconds: number): Buffer {
  const permissions = entry.kind === "link" ? 0o777 : entry.mode;
  const [major, minor] = entry.kind === "character-device" ? [entry.major, entry.minor] : [0, 0];
  return encode(entry.path, {
    inode,
    mode: TYPE_BITS[entry.kind] | permissions,
    links: entry.kind === "directory" ? 2 : 1,
    modifiedSeconds,
    sizeBytes,
    major,
    minor,
  });
}

function trailer(): Buffer {
  const none = { inode: 0, mode: 0, links: 1, modifiedSeconds: 0, sizeBytes: 0, major: 0, minor: 0 };
  return encode(TRAILER, none);
}

interface HeaderFields {
  inode: number;
  mode: number;
  links: number;
  modifiedSeconds: number;
  sizeBytes: number;
  major: number;
  minor: number;
}

function encode(path: string, fields: HeaderFields): Buffer {
  const name = Buffer.from(`${path}\0`, "utf8");
  const { inode, mode, links, modifiedSeconds, sizeBytes, major, minor } = fields;
  // In order: inode, mode, owner, group, links, time, size, device of the file, device it is, name length,
  // checksum.
  const words = [inode, mode, 0, 0, links, modifiedSeconds, sizeBytes, 0, 0, major, minor, name.length, 0];
  const text = words.map((word) => word.toString(16).padStart(8, "0")).join("");
  return Buffer.concat([Buffer.from(`070701${text}`, "latin1"), name]);
}
