import { expect, test } from "vitest";
import { type BootDiskFacts, chooseBootDisk } from "./boot-disk.ts";

const choose = (facts: Partial<BootDiskFacts>) =>
  chooseBootDisk({ disks: ["sda", "sdb", "sdc"], systemDisks: [], startable: [], ...facts });

test("a data disk with boot code is not taken for the disk that the system started from", () => {
  expect(choose({ startable: ["sda", "sdb"], systemDisks: ["sdb"] })).toEqual({
    disk: "sdb",
    reason: "the source's system started from it",
  });
});

test("of the copies of a mirrored system the first that the firmware can start boots", () => {
  const { disk, reason } = choose({ startable: ["sdb", "sdc"], systemDisks: ["sda", "sdb", "sdc"] });
  expect(disk).toBe("sdb");
  expect(reason).toContain("sdc");
});

test("if the system's disk has no boot code, the only disk with it boots", () => {
  expect(choose({ startable: ["sdc"], systemDisks: ["sda"] }).disk).toBe("sdc");
});

test("an operator's choice wins, and an only disk needs no proof", () => {
  expect(choose({ named: "sda", startable: ["sdb"], systemDisks: ["sdb"] }).disk).toBe("sda");
  expect(chooseBootDisk({ disks: ["sda"], systemDisks: [], startable: [] }).disk).toBe("sda");
});

test.each([
  [{ startable: ["sda", "sdb"] }, "sda, sdb"],
  [{ startable: [] }, "can start none"],
  [{ named: "sdx" }, "no disk sdx"],
])("where nothing decides (%j), nothing is guessed", (facts, why) => {
  expect(() => choose(facts)).toThrow(why);
});
