import { expect, test } from "vitest";
import { pruneTable } from "./prune.ts";

const points = [
  { id: "rp_2", createdAt: "2030-01-02T00:00:00.000Z", keptBy: ["last" as const, "daily" as const] },
  { id: "rp_1", createdAt: "2030-01-01T00:00:00.000Z", keptBy: [] },
];
const words = (dryRun: boolean) =>
  pruneTable({ dryRun, points })
    .split("\n")
    .map((line) => line.split(/ {2,}/));

test("each point is shown with its verdict and the rules that keep it", () => {
  expect(words(true)).toEqual([
    ["ID", "CREATED", "VERDICT", "KEPT BY"],
    ["rp_2", "2030-01-02T00:00:00.000Z", "keep", "last, daily"],
    ["rp_1", "2030-01-01T00:00:00.000Z", "prune", "-"],
    [""],
    ["1 of 2 points would be pruned. Nothing was changed."],
  ]);
});

test("after pruning it says when the space is free", () => {
  expect(words(false).at(-1)?.[0]).toMatch(/^1 of 2 points pruned\. Their space/);
});
