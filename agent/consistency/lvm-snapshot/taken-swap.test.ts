import { expect, test } from "vitest";
import type { SurveyedDisk } from "./survey.ts";
import { takenSwap } from "./taken-swap.ts";

const volume = (name: string, device?: string) =>
  ({ live: { group: "vg0", name, device } }) as SurveyedDisk["volumes"][number];
const disk = {
  volumes: [volume("root", "254:0"), volume("swap", "254:1"), volume("inactive")],
  direct: [
    { number: 1, device: "8:1", path: "/dev/sda1" },
    { number: 2, device: "8:2", path: "/dev/sda2" },
  ],
};

test("swap space that stays in use has not changed, however much there is elsewhere", () => {
  expect(takenSwap(disk, ["254:1", "8:2"], ["8:2", "254:1", "8:17"])).toEqual([]);
  expect(takenSwap(disk, ["8:17"], [])).toEqual([]);
});

test("a logical volume and a partition that were swap space and are not any more are named", () => {
  expect(takenSwap(disk, ["254:1", "8:2"], [])).toEqual([
    expect.stringMatching(/^vg0\/swap was swap space/),
    expect.stringMatching(/^partition 2 was swap space/),
  ]);
});
