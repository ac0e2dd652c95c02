import { randomBytes } from "node:crypto";
import { cp, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import { causeway, runAgent, startServer } from "./causeway.ts";
import { borg, type Capture, type DeltaContender, restic, storedMiB } from "./peers.ts";
import { runProcess } from "./run-process.ts";

/** A changed copy of a disk, captured on top of the disk itself. */
export interface DeltaRuns {
  /** Bytes of the pages of 4 KiB that changed, and of the blocks of 64 KiB that they are in. */
  pageBytes: number;
  blockBytes: number;
  /** Causeway's two ways, then the peers. */
  measured: { name: string; runs: Capture[] }[];
}

const PAGE_BYTES = 4096;
const IMAGE_BYTES = 4 * 1024 ** 3;
/** How much of the image's file system gets content. */
const CONTENT_BYTES = 2 * 1024 ** 3;
/** New packages and logs: runs of pages. */
const FILES = 60;
const FILE_PAGES = 390;
/** A database: updates of single rows, all in one place. */
const ROWS = 1500;
const DATABASE_PAGES = 25_600;

/** A file system with 2 GiB of this machine's programs, libraries and documents, built once. */
async function deltaImage(cache: string): Promise<string> {
  const image = join(cache, "delta-4GiB.raw");
  const content = await mkdtemp(join(cache, "content-"));
  try {
    await runProcess("bash", ["-c", BUILD, image, content, `${CONTENT_BYTES}`, `${IMAGE_BYTES}`]);
  } finally {
    await rm(content, { recursive: true, force: true });
  }
  return image;
}
const BUILD = `
[ -e "$0" ] && exit
set -eo pipefail
left=$2
while IFS=' ' read -r -d '' size file && [ "$left" -gt 0 ]; do
  left=$((left - size))
  printf '%s\\0' "$file"
done < <(find /usr -xdev -type f -printf '%s %p\\0' | sort -z -k 2) > "$1.list"
tar --create --null --files-from "$1.list" --absolute-names | tar --extract --directory "$1"
rm -f "$0.new" "$1.list"
truncate -s "$3" "$0.new"
mke2fs -q -F -t ext4 -d "$1" "$0.new"
mv "$0.new" "$0"`;

/**
 * Captures a disk of 4 GiB with 2 GiB in use, then a copy in which about 2.4 % of the pages changed, with
 * Causeway and the peers in turns. Only the second capture counts: from the command to the visible point. An
 * agent is running when its command comes; a peer's command is the start of its program.
 */
export async function measureDelta(cache: string, runs: number): Promise<DeltaRuns> {
  const image = await deltaImage(cache);
  const folder = await mkdtemp(join(cache, "delta-"));
  try {
    console.error("a delta captured");
    const disk = join(folder, "disk");
    await runProcess("cp", ["--sparse=always", image, disk]);
    const ours = await firstCapture(folder, "causeway", disk);
    const theirs = [restic, borg];
    for (const peer of theirs) await peer.capture(disk, await folderOf(folder, peer.name));
    const { pages, blocks } = await changePages(disk);
    const changed = join(folder, "changed.json");
    await writeFile(changed, JSON.stringify([...blocks]));
    const names = ["tracked", "hash scan", ...theirs.map(({ name }) => name)];
    const measured = names.map((name): DeltaRuns["measured"][number] => ({ name, runs: [] }));
    for (let run = 1; run <= runs; run++) {
      console.error(`delta, run ${run} of ${runs}`);
      for (const { name, runs: captures } of measured) {
        await runProcess("sync", []);
        await runProcess("dd", [`if=${disk}`, "of=/dev/null", "bs=1M"]);
        const peer = theirs.find((each) => each.name === name);
        captures.push(
          peer
            ? await captureWithPeer(peer, folder, disk)
            : await captureOurs(
                ours,
                disk,
                `run-${run}-${name.slice(0, 4)}`,
                name === "tracked" ? changed : "",
              ),
        );
      }
    }
    return { pageBytes: pages * PAGE_BYTES, blockBytes: blocks.size * BLOCK_BYTES, measured };
  } finally {
    await causeway.close?.(join(folder, "causeway"));
    await rm(folder, { recursive: true, force: true });
  }
}

async function folderOf(folder: string, name: string): Promise<string> {
  const own = join(folder, name);
  await runProcess("mkdir", ["-p", own]);
  return own;
}

async function firstCapture(folder: string, name: string, image: string): Promise<string> {
  const own = await folderOf(folder, name);
  await startServer(own);
  await runAgent(own, { kind: "capture", image, pointId: "p1" });
  return own;
}

async function captureOurs(
  folder: string,
  image: string,
  pointId: string,
  changed: string,
): Promise<Capture> {
  const job = { kind: "capture", image, pointId, parentId: "p1", ...(changed && { changed }) } as const;
  const { cost, serverCpuSeconds } = await runAgent(folder, job);
  const { bytesStored, limitingStage, peakMiB: rssMiB, seconds: wallSeconds } = JSON.parse(cost.stdout);
  return { ...cost, wallSeconds, rssMiB, storedMiB: bytesStored / 2 ** 20, limitingStage, serverCpuSeconds };
}

/** On a copy of the repository that has the first capture, so that each run finds the same. */
async function captureWithPeer(peer: DeltaContender, folder: string, image: string): Promise<Capture> {
  const [first, copy] = [join(folder, peer.name), join(folder, `${peer.name}-run`)];
  await cp(first, copy, { recursive: true });
  await runProcess("sync", []);
  const before = await storedMiB(copy);
  const cost = await peer.again(image, copy);
  const added = (await storedMiB(copy)) - before;
  await rm(copy, { recursive: true });
  return { ...cost, storedMiB: added };
}

/**
 * Changes pages that have content: runs of them, and single ones in one place. The new content compresses
 * like the old, and is nowhere else on the disk.
 */
async function changePages(image: string): Promise<{ pages: number; blocks: Set<number> }> {
  await using file = await open(image, "r+");
  const page = Buffer.alloc(PAGE_BYTES);
  const count = IMAGE_BYTES / PAGE_BYTES;
  const hasContent = async (at: number) => {
    await file.read(page, 0, PAGE_BYTES, at * PAGE_BYTES);
    return page.some((byte) => byte !== 0);
  };
  const changed = new Set<number>();
  const change = async (at: number) => {
    if (changed.has(at) || !(await hasContent(at))) return;
    randomBytes(16).copy(page, 100);
    await file.write(page, 0, PAGE_BYTES, at * PAGE_BYTES);
    changed.add(at);
  };
  const startOfRun = async (pages: number): Promise<number> => {
    for (;;) {
      const at = randomBelow(count - pages);
      if ((await hasContent(at)) && (await hasContent(at + pages - 1))) return at;
    }
  };
  for (let run = 0; run < FILES; run++) {
    const first = await startOfRun(FILE_PAGES);
    for (let at = first; at < first + FILE_PAGES; at++) await change(at);
  }
  const database = await startOfRun(DATABASE_PAGES);
  for (let row = 0; row < ROWS; row++) await change(database + randomBelow(DATABASE_PAGES));
  await file.sync();
  const blocks = new Set([...changed].map((at) => Math.floor((at * PAGE_BYTES) / BLOCK_BYTES)));
  return { pages: changed.size, blocks };
}

function randomBelow(limit: number): number {
  return Math.floor(Math.random() * limit);
}
