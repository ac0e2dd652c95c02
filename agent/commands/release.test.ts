import { expect, test } from "vitest";
import { releaseExecutor } from "./release.ts";

test("a release keeps what was computed to adapt a system only if it is asked to", async () => {
  const released: [string, { adaptation: boolean }][] = [];
  const release = releaseExecutor(async (ownerId, kept) => {
    released.push([ownerId, kept]);
  });
  const context = {} as Parameters<typeof release>[1];
  await release({ ownerId: "cut_1", keepsAdaptation: true }, context);
  await release({ ownerId: "cut_1" }, context);
  expect(released).toEqual([
    ["cut_1", { adaptation: true }],
    ["cut_1", { adaptation: false }],
  ]);
});
