/**
 * A program for machines of tests. It writes records to files and volumes until it is ended, each one to the
 * disk before the next. Its arguments are paths; it writes in turn to those of one argument, which has commas
 * between them, and at the same time to those of the others. Started again, it continues after the last
 * record. It says when it has written to each.
 */
import { constants } from "node:fs";
import { type FileHandle, open, writeFile } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import { encodeRecord, RECORD_BYTES, recordsOf, type WrittenRecord } from "./written-record.ts";

const PAUSE_MS = 150;
/** Longer than what follows a single write, so that a freeze finds a moment without any. */
const PAUSE_ALONE_MS = 400;
/** Files without records, which are written again in turn. */
const OTHER_FILES = 8;
const OTHER_COPIES = 10_000;

interface Place {
  path: string;
  file: FileHandle;
  isFile: boolean;
  records: readonly WrittenRecord[];
}

async function openPlace(path: string): Promise<Place> {
  const file = await open(path, constants.O_RDWR | constants.O_CREAT);
  const isFile = (await file.stat()).isFile();
  const written = await open(path, "r");
  const records = recordsOf(path, await written.readFile());
  await written.close();
  return { path, file, isFile, records };
}

async function writeTo(paths: readonly string[], written: () => void): Promise<never> {
  const places = await Promise.all(paths.map(openPlace));
  const numbers = places.map(({ records }) => records.length);
  let order = Math.max(-1, ...places.map(({ records }) => records.at(-1)?.order ?? -1)) + 1;
  for (let turn = 0; ; turn++) {
    for (const [index, { path, file, isFile }] of places.entries()) {
      const number = numbers[index] ?? 0;
      const record = encodeRecord(path, { number, order, sentAt: Date.now() });
      await file.write(record, 0, RECORD_BYTES, number * RECORD_BYTES);
      await file.sync();
      // Not to the disk: what waits in memory is what a freeze has to write out.
      if (isFile) await writeFile(`${path}.${number % OTHER_FILES}`, String(number).repeat(OTHER_COPIES));
      numbers[index] = number + 1;
      order += 1;
      await wait(places.length > 1 ? PAUSE_MS : PAUSE_ALONE_MS);
    }
    if (turn === 0) written();
  }
}

const groups = process.argv.slice(2).map((argument) => argument.split(","));
let left = groups.length;
for (const group of groups)
  void writeTo(group, () => {
    left -= 1;
    if (left === 0) console.log("RECORDS ARE WRITTEN");
  });
