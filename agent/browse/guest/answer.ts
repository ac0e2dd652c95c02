/** Answers of the guest: it reads a volume that it has mounted, and says what is there. */
import { constants, type Stats } from "node:fs";
import { lstat, open, readdir, readlink } from "node:fs/promises";
import { channelFrame, FRAME, messageFrame } from "../frames.ts";
import { type EntryType, type GuestFailure, MOST_SHARED } from "../messages.ts";
import { majorOf, minorOf } from "./device-number.ts";
import { pathInside } from "./path-inside.ts";

/** Sends bytes to the operator's machine; resolves when there is room for more. */
export type Send = (bytes: Uint8Array) => Promise<void>;

/** An answer that says why there is no other. */
export class GuestRefusal extends Error {
  override readonly name = "GuestRefusal";
  readonly why: GuestFailure["why"];

  constructor(why: GuestFailure["why"], detail: string) {
    super(detail);
    this.why = why;
  }
}

const PIECE_BYTES = 128 * 1024;
const SLASH = Buffer.from("/");

/** Sends the tree at a path below the root of a mounted volume. Throws `GuestRefusal`. */
export async function answerPath(
  root: Buffer,
  { ask, path }: { ask: "list" | "content"; path: Buffer },
  send: Send,
): Promise<void> {
  const { location, name } = pathInside(root, path);
  const walk = new Walk(ask === "content", send);
  const type = await walk.entry(location, name);
  const hasContent = type === "file" || type === "folder";
  if (ask === "content" && !hasContent) throw new GuestRefusal("not a file", type);
  if (type === "folder") await walk.folder(location);
  else if (ask === "content") await walk.content(location);
}

class Walk {
  readonly #withContent: boolean;
  readonly #send: Send;
  /** The numbers of files with several names, by what identifies each on this machine. */
  readonly #shared = new Map<string, number>();
  #sizeBytes = 0;

  constructor(withContent: boolean, send: Send) {
    this.#withContent = withContent;
    this.#send = send;
  }

  async entry(location: Buffer, name: Buffer): Promise<EntryType> {
    const stats = await lstat(location);
    const type = typeOf(stats);
    const { shared, isFurther } = type === "file" ? this.#sharedFile(stats) : { isFurther: false };
    if (this.#withContent && !Number.isSafeInteger(stats.size))
      throw new GuestRefusal("unreadable", `${name.toString("latin1")} has more bytes than can be written`);
    // What a list cannot say exactly is at least this much.
    const size = Math.min(stats.size, Number.MAX_SAFE_INTEGER);
    this.#sizeBytes = type === "file" && !isFurther ? size : 0;
    const isDevice = type === "block device" || type === "character device";
    await this.#send(
      messageFrame({
        say: "entry",
        name: name.toString("base64"),
        type,
        mode: stats.mode & 0o7777,
        uid: stats.uid,
        gid: stats.gid,
        sizeBytes: this.#sizeBytes,
        modifiedSeconds: Math.floor(stats.mtimeMs / 1000),
        ...(shared === undefined ? {} : { shared }),
        ...(type === "link"
          ? { target: (await readlink(location, { encoding: "buffer" })).toString("base64") }
          : {}),
        ...(isDevice ? { major: majorOf(stats.rdev), minor: minorOf(stats.rdev) } : {}),
      }),
    );
    return type;
  }

  /** A further name of a file has its number, and no bytes. */
  #sharedFile({ nlink, dev, ino }: Stats): { shared?: number; isFurther: boolean } {
    if (!this.#withContent || nlink < 2) return { isFurther: false };
    const key = `${dev} ${ino}`;
    const shared = this.#shared.get(key);
    if (shared !== undefined) return { shared, isFurther: true };
    if (this.#shared.size === MOST_SHARED) return { isFurther: false };
    this.#shared.set(key, this.#shared.size);
    return { shared: this.#shared.size - 1, isFurther: false };
  }

  /**
   * Everything in a folder, by the bytes of its names, and the mark that ends it. Each folder is reached from
   * the one above it: a path from the top can be longer than any system call takes.
   */
  async folder(location: Buffer): Promise<void> {
    const folder = await open(location, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      const own = Buffer.from(`/proc/self/fd/${folder.fd}`);
      for (const name of await namesIn(own)) {
        const inside = Buffer.concat([own, SLASH, name]);
        const type = await this.entry(inside, name);
        if (!this.#withContent) continue;
        if (type === "folder") await this.folder(inside);
        if (type === "file") await this.content(inside);
      }
    } finally {
      await folder.close();
    }
    await this.#send(messageFrame({ say: "leave" }));
  }

  /** The bytes of the file whose entry was sent last. */
  async content(location: Buffer): Promise<void> {
    const file = await open(location, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const piece = Buffer.alloc(PIECE_BYTES);
      for (let left = this.#sizeBytes; left > 0; ) {
        const { bytesRead } = await file.read(piece, 0, Math.min(left, PIECE_BYTES), null);
        if (bytesRead === 0) throw new GuestRefusal("unreadable", "a file ends before its size");
        await this.#send(channelFrame(FRAME.data, piece.subarray(0, bytesRead)));
        left -= bytesRead;
      }
    } finally {
      await file.close();
    }
  }
}

async function namesIn(location: Buffer): Promise<Buffer[]> {
  return (await readdir(location, { encoding: "buffer" })).sort(Buffer.compare);
}

function typeOf(stats: Stats): EntryType {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "folder";
  if (stats.isSymbolicLink()) return "link";
  if (stats.isBlockDevice()) return "block device";
  if (stats.isCharacterDevice()) return "character device";
  return stats.isFIFO() ? "pipe" : "socket";
}
