import { expect, test } from "vitest";
import { encodeRecord, RECORD_BYTES, recordsOf, strayRecords } from "./written-record.ts";

const RECORDS = [0, 1, 2].map((number) => ({ number, order: 10 + number, sentAt: 1_900_000_000_000 }));
const bytes = Buffer.concat(RECORDS.map((record) => encodeRecord("/srv/records", record)));

test("records are found up to the end of what was written", () => {
  expect(recordsOf("/srv/records", Buffer.concat([bytes, Buffer.alloc(4096)]))).toEqual(RECORDS);
});

test("a record with a wrong byte ends them, and so does one of another place or position", () => {
  const damaged = Buffer.from(bytes);
  damaged[2 * RECORD_BYTES + 7] = 0;
  expect(recordsOf("/srv/records", damaged)).toEqual(RECORDS.slice(0, 2));
  expect(recordsOf("/srv/other", bytes)).toEqual([]);
  expect(recordsOf("/srv/records", bytes.subarray(RECORD_BYTES))).toEqual([]);
});

test("a record behind one that is not there is stray", () => {
  const gap = Buffer.concat([
    bytes.subarray(0, RECORD_BYTES),
    Buffer.alloc(RECORD_BYTES),
    bytes.subarray(2 * RECORD_BYTES),
  ]);
  expect(recordsOf("/srv/records", gap)).toEqual(RECORDS.slice(0, 1));
  expect(strayRecords("/srv/records", gap, 1)).toEqual([2]);
  expect(strayRecords("/srv/records", bytes, 3)).toEqual([]);
});
