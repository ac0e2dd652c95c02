import { expect, test } from "vitest";
import type { RunRecord } from "../protection/run.ts";
import { aCutover } from "../testing/cutover-record.ts";
import { afterRun, requireDisks } from "./sync.ts";

const MIB = 2 ** 20;

function aRun(mib: number, change: object = {}): RunRecord {
  const standby = { state: "applied", bytesWritten: 1, leavesRepaired: 0, seconds: 1 };
  return {
    ...{ id: "run_1", planId: "plan_1", sourceId: "agt_source", state: "completed", pointId: "rp_1" },
    result: { changedBytes: mib * MIB, standby },
    ...change,
  } as RunRecord;
}
const behind = {
  result: { changedBytes: 1, standby: { state: "behind", failure: { message: "disk full" } } },
};

test("pre-syncs follow each other until one is small, or no smaller than the one before", () => {
  const next = (...mibs: number[]) =>
    afterRun(
      "pre-sync",
      mibs.map((mib) => aRun(mib)),
    ).next;
  expect(next(10)).toBe("done");
  expect(next(1000)).toBe("again");
  expect(next(1000, 500)).toBe("again");
  expect(next(1000, 900)).toBe("done");
  expect(next(16_000, 8000, 4000, 2000, 1000)).toBe("done");
});

test("a pre-sync that failed is tried again, and after the fifth the standby must have followed", () => {
  expect(afterRun("pre-sync", [aRun(10, behind)])).toEqual({ next: "again", waitSeconds: 0 });
  const runs = [1, 2, 3, 4].map(() => aRun(10, behind));
  expect(() => afterRun("pre-sync", [...runs, aRun(10, behind)])).toThrow("disk full");
  expect(afterRun("pre-sync", [...runs, aRun(10)]).next).toBe("done");
});

test("a baseline that failed is tried again after a while, and a final sync never", () => {
  const failed = { state: "failed", failure: { message: "no such disk" }, result: undefined };
  expect(afterRun("baseline", [aRun(1, failed)])).toEqual({ next: "again", waitSeconds: 900 });
  expect(afterRun("baseline", Array(40).fill(aRun(1, failed)))).toMatchObject({ waitSeconds: 14_400 });
  expect(afterRun("baseline", [aRun(1, failed), aRun(9000)])).toEqual({ next: "again", waitSeconds: 0 });
  expect(() => afterRun("final-sync", [aRun(1, failed)])).toThrow("no such disk");
  expect(() => afterRun("final-sync", [aRun(1, behind)])).toThrow("disk full");
  expect(() => afterRun("final-sync", [])).toThrow("there was no run");
  expect(afterRun("final-sync", [aRun(9000)])).toEqual({ next: "done" });
});

test("a final copy with areas that could not be read, or whose parts are of different times, is none", () => {
  const standby = { state: "applied" };
  const copy = (change: object, disk: object = {}) => {
    const disks = [{ name: "vda", consistency: "crash", trackerDisagreements: 0, ...disk }];
    return aRun(1, { result: { changedBytes: 1, badRanges: 0, disks, standby, ...change } });
  };
  const torn = copy({}, { consistency: "not", view: "pre-copy", viewReason: "it was written to" });
  const wrong = copy({}, { consistency: "not", view: "pre-copy", trackerDisagreements: 3 });
  const noView = copy({}, { consistency: "not", view: "inconsistent", viewReason: "it is in use" });
  expect(afterRun("final-sync", [copy({})])).toEqual({ next: "done" });
  expect(() => afterRun("final-sync", [copy({ badRanges: 2 })])).toThrow("2 areas of the source");
  expect(() => afterRun("final-sync", [torn])).toThrow("vda is not consistent (it was written to)");
  expect(() => afterRun("final-sync", [wrong])).toThrow("its tracker was wrong");
  expect(afterRun("pre-sync", [torn]).next).toBe("done");
  expect(() => afterRun("pre-sync", Array(5).fill(noView))).toThrow("it is in use");
  expect(() => afterRun("pre-sync", Array(5).fill(copy({ badRanges: 1 })))).toThrow("could not be read");
});

test("a copy has the disks that the machine is to have, in any order", () => {
  const cutover = aCutover({ disks: ["sda", "sdb"] });
  expect(() => requireDisks(cutover, [{ name: "sdb" }, { name: "sda" }])).not.toThrow();
  expect(() => requireDisks(cutover, [{ name: "sda" }])).toThrow("sda, sdb, and the copy has sda");
});
