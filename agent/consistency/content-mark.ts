import { randomUUID } from "node:crypto";
import { readFile, stat } from "node:fs/promises";

const BOOT_ID = "/proc/sys/kernel/random/boot_id";

/**
 * A text that changes whenever something has been written to a disk or an image file: two equal marks mean
 * the same content. A device that does not count its writes gets another mark each time.
 */
export async function contentMark(path: string): Promise<string> {
  const { rdev, ino, size, mtimeNs, isBlockDevice } = await statOf(path);
  if (!isBlockDevice) return `file ${ino} ${size} ${mtimeNs}`;
  const sys = `/sys/dev/block/${(rdev >> 8n) & 0xfffn}:${(rdev & 0xffn) | ((rdev >> 12n) & 0xfff00n)}`;
  const [boot, statistics, own, parent] = await Promise.all(
    [BOOT_ID, `${sys}/stat`, `${sys}/queue/iostats`, `${sys}/../queue/iostats`].map(readIfThere),
  );
  // A partition uses its disk's queue.
  const writes = (own ?? parent)?.trim() === "1" ? writesIn(statistics ?? "") : undefined;
  return boot && writes ? `device ${boot.trim()} ${writes}` : `unknown ${randomUUID()}`;
}

/**
 * The sectors that were written and discarded, in a device's `stat`; `undefined` if it has no such counters
 * (https://docs.kernel.org/block/stat.html). Not the writes: the kernel counts a flush, as each `sync` of the
 * machine makes one, as a write of no sectors.
 */
export function writesIn(statistics: string): string | undefined {
  const fields = statistics.trim().split(/\s+/);
  // Kernels before 4.18 do not count discards.
  if (fields.length < 14 || !fields.every((field) => /^\d+$/.test(field))) return undefined;
  return [fields[6], fields[13]].join(" ");
}

async function statOf(path: string) {
  const found = await stat(path, { bigint: true });
  const { rdev, ino, size, mtimeNs } = found;
  return { rdev, ino, size, mtimeNs, isBlockDevice: found.isBlockDevice() };
}

async function readIfThere(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch(() => undefined);
}
