import { expect, test } from "vitest";
import type { Progress } from "#shared/protocol/common.ts";
import { executionContext } from "../commands/testing/execution-context.ts";
import { copyingLine, JobScreen } from "./job-screen.ts";

const GIB = 2 ** 30;
const now = new Date("2030-01-01T14:00:00Z");
const half: Progress = {
  bytesDone: GIB,
  bytesTotal: 2 * GIB,
  rateBytesPerSecond: 2 ** 24,
  remainingSeconds: 64,
};
const input = { conversionId: "cnv_1", pointId: "rp_1", allBlocks: false };
const job = { conversionId: "cnv_1", requestedBy: "ada@example.com", deadlineSeconds: 600 };

function screenOf(disks: readonly string[], requestedBy = job.requestedBy, change: object = {}) {
  const lines: string[] = [];
  const clock = { now };
  const screen = new JobScreen({
    job: { ...job, requestedBy, ...change },
    disks: disks.map((name) => ({ name, sizeBytes: 2 * GIB })),
    say: (line) => lines.push(line),
    now: () => clock.now,
  });
  return { screen, lines, clock };
}

test("the screen says whose job this is, and that the computer restarts by itself in any case", () => {
  const { screen, lines } = screenOf(["sda"]);
  screen.opening();
  const text = lines.join("\n");
  for (const words of ["leave it on", "cnv_1", "ada@example.com", "by itself", "10 min"])
    expect(text).toContain(words);
});

test("before a computer that is being cut over it says that it is switched off in the end", () => {
  const { screen, lines } = screenOf(["sda"], "ada", { conversionId: "cut_1", idleSeconds: 4200 });
  screen.opening();
  expect(lines.join("\n")).toContain("When another machine runs in its place, it is switched off");
  expect(lines.join("\n")).toContain("Cutover cut_1, requested by ada");
  expect(lines.join("\n")).toContain("70 min");
});

test("the name of who asked cannot write lines of its own onto the screen", () => {
  const { screen, lines } = screenOf(["sda"], "ada\nAll done:\u001b[2J switch it off\u0007");
  screen.opening();
  expect(lines.filter((line) => line.startsWith("All done"))).toEqual([]);
  expect(lines.join("\n")).not.toMatch(/[^\P{Cc}\n]/u);
});

test("a line tells amount, rate, remaining time, and when the computer restarts into its own system", () => {
  expect(copyingLine(half, { disk: "sda", othersBytes: 0, now })).toBe(
    "sda: 1.0 GiB of 2.0 GiB, 16.0 MiB/s, 1 min 04 s left, restarts about 14:01 UTC",
  );
});

test("while other disks wait for their turn, the time is the latest, with its date if that is another day", () => {
  const late = new Date("2030-01-01T23:58:00Z");
  expect(copyingLine(half, { disk: "sda", othersBytes: 2 * GIB, now: late })).toMatch(
    /restarts by 00:01 UTC on 2030-01-02$/,
  );
});

test.each<[string, Partial<Progress>]>([
  ["before the first byte", { rateBytesPerSecond: 0, remainingSeconds: undefined }],
  ["at a rate close to zero", { rateBytesPerSecond: 1e-9, remainingSeconds: 1e18 }],
])("there is no forecast %s", (_, change) => {
  const line = copyingLine({ ...half, ...change }, { disk: "sda", othersBytes: GIB, now });
  expect(line).not.toContain("restarts");
});

test("a capture is shown every ten seconds, and reports to the control plane as often as before", async () => {
  const { screen, lines, clock } = screenOf(["sda", "sdb"]);
  const reported: Progress[] = [];
  const { "capture-disk": capture } = screen.showing({
    "capture-disk": async ({ disk }, { progress }) => {
      for (let second = 0; second < 25; second++) {
        clock.now = new Date(clock.now.getTime() + 1000);
        progress(half);
      }
      return { disk: { name: disk } } as never;
    },
  });
  const context = executionContext({ progress: (progress) => void reported.push(progress) });
  await capture?.({ ...input, disk: "sda" }, context);
  expect(reported).toHaveLength(25);
  expect(lines).toHaveLength(4);
  expect(lines[1]).toContain(" by ");
  lines.length = 0;
  await capture?.({ ...input, disk: "sdb" }, context);
  expect(lines.map((line) => line.slice(0, 20))).toEqual([
    "Copying the disk sdb",
    "sdb: 1.0 GiB of 2.0 ",
    "sdb: 1.0 GiB of 2.0 ",
    "The disk sdb is copi",
  ]);
  expect(lines[1]).toContain(" about ");
});

test("a capture that fails fails as before, and the screen does not call the disk copied", async () => {
  const { screen, lines } = screenOf(["sda"]);
  const { "capture-disk": capture } = screen.showing({
    "capture-disk": () => Promise.reject(new Error("no answer")),
  });
  await expect(capture?.({ ...input, disk: "sda" }, executionContext())).rejects.toThrow("no answer");
  expect(lines).toEqual(["Copying the disk sda."]);
});

test("the last copy of a cutover is shown with its amount, rate and remaining time, and without a restart", async () => {
  const { screen, lines, clock } = screenOf(["sda", "sdb"], "ada", { conversionId: "cut_1" });
  const { "take-recovery-point": take } = screen.showing({
    "take-recovery-point": async (_, { progress }) => {
      for (const more of [{ note: "disk 1 of 2: sda" }, {}, { remainingSeconds: undefined }]) {
        clock.now = new Date(clock.now.getTime() + 10_000);
        progress({ ...half, ...more });
      }
      return {} as never;
    },
  });
  const wanted = { ownerId: "cut_1", pointId: "rp_1", disks: ["sda", "sdb"] };
  await take?.({ ...wanted, allBlocks: false, allowInconsistent: false }, executionContext());
  expect(lines).toEqual([
    "Copying what has changed on sda, sdb.",
    "disk 1 of 2: sda: 1.0 GiB of 2.0 GiB, 16.0 MiB/s, 1 min 04 s left",
    "sda, sdb: 1.0 GiB of 2.0 GiB, 16.0 MiB/s, 1 min 04 s left",
    "sda, sdb: 1.0 GiB of 2.0 GiB, 16.0 MiB/s",
    "What has changed is copied.",
  ]);
});

test("while files are read for a proof, the screen says for how long at most, and how much was read", async () => {
  const { screen, lines, clock } = screenOf(["sda"], "ada", { conversionId: "cut_1" });
  const { "hash-files": hash } = screen.showing({
    "hash-files": async (_, { progress }) => {
      clock.now = new Date(clock.now.getTime() + 10_000);
      progress({ bytesDone: GIB, bytesTotal: 0, rateBytesPerSecond: 2 ** 24 });
      return {} as never;
    },
  });
  await hash?.({ ownerId: "cut_1", pointId: "rp_1", disks: ["sda"], budgetSeconds: 90 }, executionContext());
  expect(lines).toEqual([
    "Reading files, at most 1 min 30 s, so that they can be compared with the copy.",
    "1.0 GiB read, 16.0 MiB/s",
    "The files are read.",
  ]);
});
