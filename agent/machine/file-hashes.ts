import { open } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { hashOpenFile } from "../boot-image/hash-open-file.ts";

/** A smaller file is hashed faster than it is worth to remember. */
const WORTH_REMEMBERING_BYTES = 2 ** 20;
/**
 * The kernel may give two writes the same change time if they are closer than a tick: 10 ms at most
 * (`CONFIG_HZ=100`), and 10 ms on FAT. Once a file has been still for this time, its next write changes it.
 */
const STILL_MS = 50;

/**
 * Hashes files, and remembers the hash of a large one for as long as its change time, its size and its place
 * in the file system are the same: a source hashes tens of megabytes per second beside its own work, and
 * arming looks at the boot image's files at every step.
 */
export class FileHashes {
  readonly #known = new Map<string, { identity: string; sha256: string }>();

  /** SHA-256, lower-case hexadecimal. Throws what opening the file throws, such as `ENOENT`. */
  async of(path: string): Promise<string> {
    await using file = await open(path, "r");
    const identity = async () => {
      const { dev, ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true });
      return {
        size,
        changedMs: Number(ctimeNs / 1_000_000n),
        text: [dev, ino, size, mtimeNs, ctimeNs].join(),
      };
    };
    const before = await identity();
    const known = this.#known.get(path);
    if (known?.identity === before.text) return known.sha256;
    const isWorthIt = before.size >= WORTH_REMEMBERING_BYTES;
    if (isWorthIt && Math.abs(Date.now() - before.changedMs) < STILL_MS) await setTimeout(STILL_MS);
    const { sha256 } = await hashOpenFile(file);
    if (isWorthIt && (await identity()).text === before.text) {
      this.#known.set(path, { identity: before.text, sha256 });
    }
    return sha256;
  }
}
