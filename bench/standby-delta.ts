import { randomBytes } from "node:crypto";
import { mkdtemp, open, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { causeway, runAgent, startServer } from "./causeway.ts";
import { runProcess } from "./run-process.ts";

/** The same delta, applied to a standby and written with dd, in turns. */
export interface StandbyDelta {
  /** What one application writes. */
  bytes: number;
  applySeconds: number[];
  ddSeconds: number[];
}

const BLOCK_BYTES = 64 * 1024;
/** 50 MiB: 2.4 % of a disk with 2 GiB in use. */
const CHANGED_BLOCKS = 800;

/**
 * Captures an image and a changed copy of it, then applies both points to a standby in turns. dd writes as
 * many bytes to one place, followed by one sync: the least that a copy can cost.
 */
export async function measureStandbyDelta(image: string, cache: string, runs: number): Promise<StandbyDelta> {
  const folder = await mkdtemp(join(cache, "standby-"));
  try {
    console.error("a delta applied to a standby");
    await startServer(folder);
    const changed = join(folder, "changed");
    await runProcess("cp", ["--sparse=always", image, changed]);
    await changeBlocks(changed);
    await runAgent(folder, { kind: "capture", image, pointId: "rp_1" });
    await runAgent(folder, { kind: "capture", image: changed, pointId: "rp_2", parentId: "rp_1" });
    await apply(folder, "rp_1");
    const measured: StandbyDelta = { bytes: 0, applySeconds: [], ddSeconds: [] };
    for (let run = 0; run < runs; run++) {
      const { bytesWritten, bytesZeroed, seconds } = await apply(folder, run % 2 === 0 ? "rp_2" : "rp_1");
      measured.bytes = bytesWritten + bytesZeroed;
      measured.applySeconds.push(seconds);
      measured.ddSeconds.push(await writeWithDd(folder, measured.bytes));
    }
    return measured;
  } finally {
    await causeway.close?.(folder);
    await rm(folder, { recursive: true, force: true });
  }
}

async function changeBlocks(image: string): Promise<void> {
  const { size } = await stat(image);
  await using file = await open(image, "r+");
  const step = Math.floor(size / BLOCK_BYTES / CHANGED_BLOCKS);
  for (let block = 0; block < CHANGED_BLOCKS; block++)
    await file.write(randomBytes(BLOCK_BYTES), 0, BLOCK_BYTES, block * step * BLOCK_BYTES);
}

interface Application {
  bytesWritten: number;
  bytesZeroed: number;
  seconds: number;
}

async function apply(folder: string, pointId: string): Promise<Application> {
  await runProcess("sync", []);
  const { cost } = await runAgent(folder, { kind: "apply", image: join(folder, "host"), pointId });
  return JSON.parse(cost.stdout);
}

async function writeWithDd(folder: string, bytes: number): Promise<number> {
  const [from, to] = [join(folder, "delta"), join(folder, "written")];
  await writeFile(from, randomBytes(bytes));
  await runProcess("sync", []);
  const { wallSeconds } = await runProcess("dd", [`if=${from}`, `of=${to}`, "bs=1M", "conv=fsync"]);
  await rm(to);
  return wallSeconds;
}
