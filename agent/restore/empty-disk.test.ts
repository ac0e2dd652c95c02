import { expect, test } from "vitest";
import { MemoryStore } from "../store/testing/memory-store.ts";
import { restoreDisk } from "./restore.ts";

const repository = { sourceId: "agt_1", store: new MemoryStore(), dataKey: Buffer.alloc(32, 7) };
const disk = {
  ...{ name: "sda", sizeBytes: 2 ** 40, root: null, contentHash: "00".repeat(32) },
  ...{ usedBytes: 0, badRanges: 0, badBytes: 0 },
};
const sink = { write: async () => {} };

test("restoring an empty disk of a terabyte does not block other work, and stops when cancelled", async () => {
  let turns = 0;
  let counting = setImmediate(function count() {
    turns++;
    counting = setImmediate(count);
  });
  try {
    expect(await restoreDisk({ repository, disk, sink })).toMatchObject({ bytesWritten: 0 });
    expect(turns).toBeGreaterThan(200);
    const stop = new AbortController();
    const given = restoreDisk({ repository, disk, sink, signal: stop.signal });
    setImmediate(() => stop.abort(new Error("cancelled")));
    await expect(given).rejects.toThrow("cancelled");
  } finally {
    clearImmediate(counting);
  }
});
