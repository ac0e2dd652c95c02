import { expect, test } from "vitest";
import type { Conversion } from "#shared/protocol/resources.ts";
import { ProgressLine } from "../progress.ts";
import { progressLine } from "./conversion-progress.ts";
import { describeConversion } from "./conversion-text.ts";

const awaiting: Conversion = {
  id: "cnv_1",
  type: "remote-cold",
  sourceId: "agt_1",
  targetId: "agt_2",
  format: "raw",
  bootCheck: false,
  state: "running",
  steps: [
    { name: "reboot", state: "done", work: [] },
    {
      name: "boot-environment",
      state: "running",
      work: [{ commandId: "cmd_1", agentId: "agt_1", state: "pending" }],
    },
  ],
  whereabouts: { location: "rebooting", bootState: "armed", since: "2030-01-01T02:30:00.000Z" },
  accept: [],
  requestedBy: "operator",
  createdAt: "2030-01-01T02:00:00.000Z",
};

test("while a machine restarts, the line says since when", () => {
  expect(progressLine(awaiting)).toBe("boot-environment  machine restarting since 2030-01-01T02:30:00.000Z");
});

test("a failure whose text came from an agent stays on its line", () => {
  const failure = { name: "X", message: "m\nboot state confirmed by a receipt", hint: "h", retryable: false };
  const lines = describeConversion({ ...awaiting, failure }).split("\n");
  expect(lines.filter((line) => line.startsWith("boot state"))).toEqual([]);
});

test("a conversion that has ended shows no progress", () => {
  expect(progressLine({ ...awaiting, state: "completed", steps: [] })).toBeUndefined();
});

const capturing = (work: object): Conversion => ({
  ...awaiting,
  type: "hot",
  whereabouts: undefined,
  steps: [
    {
      name: "capture",
      state: "running",
      work: [{ commandId: "cmd_1", agentId: "agt_1", disk: "sda", state: "running", ...work }],
    },
  ],
});
const progress = {
  bytesDone: 62 * 2 ** 20,
  bytesTotal: 100 * 2 ** 20,
  rateBytesPerSecond: 12 * 2 ** 20,
  remainingSeconds: 3,
  bottleneck: "upload" as const,
};

const awaySince = "2030-01-01T02:30:00.000Z";

test("the progress of an agent that is away says since when, without a rate or a remaining time", () => {
  expect(progressLine(capturing({ progress, awaySince }))).toBe(
    `capture, source away since ${awaySince}  sda  62.0 MiB of 100 MiB  it continues when the agent of agt_1 is back`,
  );
  expect(progressLine(capturing({ progress }))).toContain("12.0 MiB/s  3 s left  limited by upload");
});

test("a log gets one line when the source disconnects, and one when it connects again", () => {
  let log = "";
  const err = (text: string) => {
    log += text;
  };
  const line = new ProgressLine({
    out: err,
    outBytes: async () => undefined,
    err,
    interactive: false,
    columns: 80,
  });
  for (const work of [{}, { awaySince }, { awaySince }, {}, {}])
    line.show(progressLine(capturing({ progress, ...work })) ?? "");
  expect(log.split("\n").map((shown) => shown.split("  ")[0])).toEqual([
    "capture",
    `capture, source away since ${awaySince}`,
    "capture",
    "",
  ]);
});

test("a machine that is restarting is not shown as disconnected: the line says where it is", () => {
  const [step] = awaiting.steps.slice(1);
  const work = (step?.work ?? []).map((item) => ({ ...item, awaySince: "2030-01-01T02:31:00.000Z" }));
  const steps = step ? [{ ...step, work }] : [];
  expect(progressLine({ ...awaiting, steps })).toBe(
    "boot-environment  machine restarting since 2030-01-01T02:30:00.000Z",
  );
});
