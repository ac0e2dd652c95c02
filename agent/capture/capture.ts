import { randomBytes } from "node:crypto";
import { BlockSet } from "#shared/domain/block-set.ts";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import type { MappedDisk } from "#shared/format/point.ts";
import { MapReader } from "../repository/map-reader.ts";
import { type CaptureOptions, type CaptureStatistics, defaultCaptureSettings } from "./capture-options.ts";
import { DiskCapture } from "./disk-capture.ts";
import type { CaptureIdentity } from "./journal.ts";
import { checkSample, type SampleResult } from "./sample-check.ts";

const NO_SAMPLE: SampleResult = { blocks: 0, bytesRead: 0, differing: [] };

export interface CapturedDisk {
  /** For the recovery point; everything in it is durable. */
  disk: MappedDisk;
  /** When the first attempt at this capture chose its parent: for `commitPoint`. */
  startedAt: number;
  statistics: CaptureStatistics;
}

/**
 * Captures one disk into the repository: reads, tests for zeros, hashes, compresses, seals, packs and
 * uploads, on worker threads. Everything the result refers to is durable. Throws `DiskShrankError`,
 * `TooManyReadErrorsError`, the store's errors, or the signal's reason; the journal lets the next attempt
 * reuse what was stored until then.
 */
export async function captureDisk(options: CaptureOptions): Promise<CapturedDisk> {
  const { disk, journal } = options;
  // In a disk of another size, positions would still match, but the trees' shapes would not.
  const previous = options.previous?.sizeBytes === disk.sizeBytes ? options.previous : undefined;
  const claimed = previous && blocksOf(disk.sizeBytes, options.changed);
  const used = blocksOf(disk.sizeBytes, options.used) ?? BlockSet.all(disk.sizeBytes, BLOCK_BYTES);
  let identity: CaptureIdentity = {
    captureId: randomBytes(16).toString("hex"),
    sourceId: options.repository.sourceId,
    diskName: options.diskName,
    sizeBytes: disk.sizeBytes,
    previous: previous?.contentHash ?? null,
    startedAt: options.now(),
    view: options.view ?? "",
    basis: claimed ? "tracked" : "scan",
  };
  let capture: DiskCapture | undefined;
  try {
    identity = (await journal?.open(identity)) ?? identity;
    const sample =
      identity.basis === "tracked" && previous && claimed
        ? await sampleOf(options, { previous, used, changed: claimed })
        : NO_SAMPLE;
    if (sample.differing.length > 0 && !options.isLive) {
      identity = { ...identity, basis: "scan" };
      identity = (await journal?.open(identity)) ?? identity;
    }
    const changed = identity.basis === "tracked" ? claimed : undefined;
    capture = new DiskCapture(options, { previous, used, changed, identity });
    const captured = await capture.run();
    const { statistics } = captured;
    const bytesRead = statistics.bytesRead + sample.bytesRead;
    return { ...captured, statistics: { ...statistics, bytesRead, basis: identity.basis, sample } };
  } finally {
    await capture?.end();
    await journal?.close();
  }
}

function sampleOf(
  { repository, disk, settings, random, signal }: CaptureOptions,
  { previous, used, changed }: { previous: MappedDisk; used: BlockSet; changed: BlockSet },
): Promise<SampleResult> {
  const { sample, maxBadBytes } = { ...defaultCaptureSettings, ...settings };
  return checkSample({
    claim: { sizeBytes: disk.sizeBytes, used, changed },
    parent: new MapReader(repository, previous),
    dataKey: repository.dataKey,
    settings: { ...sample, maxBadBytes },
    ...{ disk, random, signal },
  });
}

/** The set, if it is one of this disk's blocks. */
function blocksOf(sizeBytes: number, set: BlockSet | undefined): BlockSet | undefined {
  return set?.sizeBytes === sizeBytes && set.blockBytes === BLOCK_BYTES ? set : undefined;
}
