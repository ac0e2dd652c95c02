/** Any damage to a saved boot state: it is the one that this agent wrote, or a typed error. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RecordNotOursError } from "#shared/errors.ts";
import { mutated } from "#shared/protocol/testing/mutations.ts";
import { SavedBootState } from "../boot-loaders/saved-state.ts";
import { AgentRecords } from "./agent-records.ts";

const name = "BootNext-8be4df61-93ca-11d2-aa0d-00e098032b8c";
const saved: SavedBootState = {
  ...{ format: 2, loader: "boot-next", jobId: "cnv-1", savedAt: "2030-01-01T00:00:00.000Z" },
  volumes: [{ uuid: "1234-ABCD", type: "vfat", mountPoint: "/boot/efi", root: "/" }],
  items: [
    { kind: "variable", name, format: "one-shot", armed: { bytesBase64: "AQ==", sha256: "a".repeat(64) } },
  ],
};
let dataDir: string;
let path: string;
let records: AgentRecords<SavedBootState>;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "causeway-records-"));
  path = join(dataDir, "boot-states", "cnv_1.json");
  records = new AgentRecords({
    ...{ dataDir, folder: "boot-states", suffix: ".json", schema: SavedBootState, key: Buffer.alloc(32, 7) },
  });
  await records.write("cnv_1", saved);
});
afterAll(() => rmSync(dataDir, { recursive: true }));

async function readOrRefused(bytes: string | Uint8Array): Promise<void> {
  writeFileSync(path, bytes);
  try {
    expect(await records.read("cnv_1")).toEqual(saved);
  } catch (error) {
    expect(error).toBeInstanceOf(RecordNotOursError);
    expect((error as RecordNotOursError).hint).toContain("move the named file away");
  }
}

test("whatever stands in the file, it is read as it was written or refused", async () => {
  const written = readFileSync(path);
  const change = fc.tuple(fc.nat(written.length - 1), fc.uint8Array({ minLength: 1, maxLength: 20 }));
  const damaged = fc
    .tuple(fc.array(change, { maxLength: 3 }), fc.nat(written.length))
    .map(([changes, end]) => {
      const bytes = Buffer.from(written);
      for (const [at, put] of changes) bytes.set(put.subarray(0, bytes.length - at), at);
      return bytes.subarray(0, end);
    });
  const document = mutated(JSON.parse(written.toString())).map((value) => JSON.stringify(value) ?? "");
  await fc.assert(fc.asyncProperty(fc.oneof(damaged, document, fc.json(), fc.string()), readOrRefused), {
    numRuns: 100,
  });
});

test("a file that nests too deep to be read is refused", async () => {
  const deep = `${"[".repeat(5000)}${"]".repeat(5000)}`;
  await readOrRefused(`{"value":${deep},"mac":"${"a".repeat(64)}"}`);
  await readOrRefused("[".repeat(200_000));
});
