/**
 * For resume.test.ts: captures the image in the first argument into the folder in the second, with a journal,
 * until it is killed.
 */

import { openDisk } from "../../disk/disk-source.ts";
import { ProgressMeter } from "../../progress/progress-meter.ts";
import { DirectoryStore } from "../../store/testing/directory-store.ts";
import { captureDisk } from "../capture.ts";
import { FileJournal } from "../journal.ts";

const [image = "", folder = "", journal = ""] = process.argv.slice(2);
const disk = await openDisk(image);
await captureDisk({
  repository: { sourceId: "s1", store: new DirectoryStore(folder), dataKey: Buffer.alloc(32, 7) },
  disk,
  diskName: "sda",
  journal: new FileJournal(journal),
  // Slow enough that the parent can kill it midway.
  pace: (bytes) => new Promise((resolve) => setTimeout(resolve, bytes / 40_000)),
  meter: new ProgressMeter(({ bytesDone }) => process.send?.(bytesDone)),
  settings: { packBytes: 2 * 1024 * 1024, knownBlocks: 4096 },
  now: Date.now,
  random: Math.random,
});
