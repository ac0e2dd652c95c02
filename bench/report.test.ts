import { expect, test } from "vitest";
import { formatReport, median, toDelta, toRows } from "./report.ts";

const run = (wallSeconds: number) => ({
  wallSeconds,
  cpuSeconds: 2 * wallSeconds,
  rssMiB: 10 * wallSeconds,
  storedMiB: 7,
});

test("the median is the middle run, or the mean of the two in the middle", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});

test("peers are compared with ours by their medians", () => {
  const rows = toRows([
    { name: "ours", runs: [run(3), run(2), run(9)] },
    { name: "theirs", runs: [run(6), run(5), run(7)] },
  ]);
  expect(rows).toMatchObject([
    { name: "ours", wallSeconds: 3, wallRange: [2, 9], cpuSeconds: 6, rssMiB: 90, storedMiB: 7 },
    { name: "theirs", wallSeconds: 6, oursRatio: 0.5 },
  ]);
  expect(rows[0]).not.toHaveProperty("oursRatio");
  const [tracked, scan, theirs] = [1, 4, 8].map((seconds) => ({ name: `${seconds}`, runs: [run(seconds)] }));
  if (!tracked || !scan || !theirs) throw new Error("there are no runs");
  const delta = toDelta({
    pageBytes: 97 * 2 ** 20,
    blockBytes: 163 * 2 ** 20,
    measured: [tracked, scan, theirs],
  });
  const text = formatReport({
    delta,
    image: { path: "i", sizeBytes: 2 ** 30, usedBytes: 2 ** 20 },
    runs: 3,
    capture: rows,
    restore: rows,
    agents: [{ role: "source", enrolledMiB: 103.4, peakMiB: 178.8 }],
    largeDisks: [{ name: "a disk", peakMiB: 199.6, wallSeconds: 12.3 }],
    standby: { bytes: 50 * 2 ** 20, applySeconds: [3, 0.3, 0.4], ddSeconds: [0.2, 9, 0.2] },
  });
  expect(text).toMatch(/^i: 1024 MiB, 1048576 bytes \(1 MiB\) in use; medians of 3 runs$/m);
  expect(text).toMatch(/^delta: 97 MiB of pages changed, in 163 MiB of blocks: 1\.68 times$/m);
  expect(text).toMatch(/^1 .*\n8 .* 0\.13\n\n/m);
  expect(text).toMatch(/^4 .*\n8 .* 0\.50$/m);
  expect(text).toMatch(/^source agent: 103 MiB .*, 179 MiB /m);
  expect(text).toMatch(/^capture of a disk: 200 MiB in 12 s$/m);
  expect(text).toMatch(/^standby: a delta of 50 MiB applied in 0\.40 s, .* in 0\.20 s: 2\.00 times$/m);
  expect(
    formatReport({
      image: { path: "i", sizeBytes: 1, usedBytes: 1 },
      runs: 1,
      capture: [],
      restore: [],
      agents: [],
      largeDisks: [],
    }),
  ).not.toContain("capture");
  expect(text).toMatch(/theirs +6\.00 +5\.0-7\.0 .* 0\.50$/m);
});
