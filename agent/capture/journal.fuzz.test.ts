/** Any damage to a capture's journal: the capture continues with whole records, or starts again. */
import { hash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mutated } from "#shared/protocol/testing/mutations.ts";
import { FileJournal, type JournalLeaf } from "./journal.ts";

const identity = {
  ...{ captureId: "00".repeat(16), sourceId: "agt_1", diskName: "sda", sizeBytes: 2 ** 30 },
  ...{ previous: null, startedAt: 7, view: "", basis: "scan" as const },
};
const leafOf = (index: number): JournalLeaf => ({
  ...{ index, kind: "new", bytes: Buffer.alloc(50, index), usedBlocks: index, changedBlocks: index },
  ...{ badRanges: 0, badBytes: 0 },
});
let folder: string;
let path: string;
let whole: Buffer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "causeway-capture-journal-"));
  path = join(folder, "sda.journal");
  const journal = new FileJournal(path);
  await journal.open(identity);
  for (const index of [0, 1, 2, 3]) await journal.append(leafOf(index));
  await journal.close();
  whole = readFileSync(path);
});
afterAll(() => rmSync(folder, { recursive: true }));

const recordOf = (payload: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(payload.length);
  return Buffer.concat([length, hash("sha256", payload, "buffer").subarray(0, 8), payload]);
};

/** Opens a journal of these bytes, reads what it has, and appends to it. */
async function opened(bytes: Buffer): Promise<JournalLeaf[]> {
  writeFileSync(path, bytes);
  const journal = new FileJournal(path);
  try {
    const { captureId } = await journal.open(identity);
    expect(captureId).toMatch(/^[0-9a-f]{32}$/);
    const leaves: JournalLeaf[] = [];
    for (let index = 0; index < 8; index++) if (journal.has(index)) leaves.push(await journal.read(index));
    await journal.append(leafOf(8));
    expect(await journal.read(8)).toEqual(leafOf(8));
    return leaves;
  } finally {
    await journal.close();
  }
}

test("whatever bytes are overwritten or cut off, only whole leaves are continued with", async () => {
  const change = fc.tuple(fc.nat(whole.length - 1), fc.uint8Array({ minLength: 1, maxLength: 20 }));
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 3 }), fc.nat(whole.length), async (changes, end) => {
      const bytes = Buffer.from(whole);
      for (const [at, put] of changes) bytes.set(put.subarray(0, bytes.length - at), at);
      for (const leaf of await opened(bytes.subarray(0, end))) expect(leaf).toEqual(leafOf(leaf.index));
    }),
    { numRuns: 50 },
  );
});

test("whatever a first record with a right checksum says, the capture continues under a valid id", async () => {
  const payload = fc.oneof(
    mutated(identity).map((value) => Buffer.from(JSON.stringify(value) ?? "")),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  );
  await fc.assert(
    fc.asyncProperty(payload, async (first) => {
      await opened(Buffer.concat([recordOf(first), recordOf(Buffer.alloc(20))]));
    }),
    { numRuns: 50 },
  );
});

test("whatever a later record with a right checksum says, it is a leaf or the journal ends before it", async () => {
  const payload = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
  await fc.assert(
    fc.asyncProperty(fc.array(payload, { maxLength: 4 }), async (payloads) => {
      const first = recordOf(Buffer.from(JSON.stringify(identity)));
      await opened(Buffer.concat([first, ...payloads.map(recordOf)]));
    }),
    { numRuns: 50 },
  );
});
