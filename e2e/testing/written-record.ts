/** For tests: what a program of a machine writes, so that a copy of the machine's disks can be judged. */
import { hash } from "node:crypto";

/** A sector. */
export const RECORD_BYTES = 512;
const DIGEST_CHARACTERS = 64;

export interface WrittenRecord {
  /** Its position in its place. */
  number: number;
  /** Its position among all records that were written in turn with it. */
  order: number;
  /** When it was made, in milliseconds since 1970 by the machine's clock. */
  sentAt: number;
}

export function encodeRecord(place: string, { number, order, sentAt }: WrittenRecord): Buffer {
  const text = JSON.stringify({ place, number, order, sentAt }).padEnd(RECORD_BYTES - DIGEST_CHARACTERS);
  return Buffer.from(text + hash("sha256", text));
}

/** The records from the start of a place to the first that is not whole, or is not the one that follows. */
export function recordsOf(place: string, bytes: Buffer): WrittenRecord[] {
  const records: WrittenRecord[] = [];
  for (let at = 0; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
    const record = decodeRecord(place, bytes.subarray(at, at + RECORD_BYTES));
    if (record?.number !== records.length) break;
    records.push(record);
  }
  return records;
}

/** The numbers of the whole records of a place that are behind the position of number `from`. */
export function strayRecords(place: string, bytes: Buffer, from: number): number[] {
  const found: number[] = [];
  for (let at = (from + 1) * RECORD_BYTES; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
    const record = decodeRecord(place, bytes.subarray(at, at + RECORD_BYTES));
    if (record) found.push(record.number);
  }
  return found;
}

function decodeRecord(place: string, bytes: Buffer): WrittenRecord | undefined {
  const text = bytes.toString("latin1", 0, RECORD_BYTES - DIGEST_CHARACTERS);
  if (hash("sha256", text) !== bytes.toString("latin1", RECORD_BYTES - DIGEST_CHARACTERS)) return undefined;
  const { place: own, ...record } = JSON.parse(text) as WrittenRecord & { place: string };
  return own === place ? record : undefined;
}
