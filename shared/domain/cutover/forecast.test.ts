import { describe, expect, test } from "vitest";
import { type CutoverHistory, forecastCutover, isRehearsed, type MeasuredRun } from "./forecast.ts";

const MIB = 2 ** 20;

const run = (given: Partial<MeasuredRun> = {}): MeasuredRun => ({
  ...{ changedBytes: 60 * MIB, sinceSeconds: 300, captureSeconds: 14, applySeconds: 5 },
  ...given,
});

/** Each part took the same ten times. */
const measured: CutoverHistory = {
  runs: Array.from({ length: 10 }, () => run()),
  durations: {
    quiesce: Array(10).fill(4),
    "boot-environment": Array(10).fill(60),
    clone: Array(10).fill(2),
    adapt: Array(10).fill(6),
    define: Array(10).fill(1),
    boot: Array(10).fill(30),
    connect: Array(10).fill(1),
  },
  ...{ otherMachine: { durations: {}, differences: [] }, others: [] },
};
const hot = {
  ...{ quiesce: "hot" as const, bytesToScan: 8192 * MIB },
  ...{ adapts: true, switchesOff: false, answersIsolated: false, answers: false, secondsLeft: 3600 },
};

test("a forecast without any measurement is a guess with a wide range, and says so", () => {
  const { outageSeconds, low, high, basis, parts } = forecastCutover(
    { ...measured, runs: [], durations: {} },
    hot,
  );
  expect(basis).toBe("guessed");
  expect(high - low).toBeGreaterThan(outageSeconds);
  expect(parts.every((part) => !part.measured)).toBe(true);
});

test("a forecast of which one part was never measured says so, and which", () => {
  const { clone, ...others } = measured.durations;
  expect(clone).toBeDefined();
  const { basis, parts } = forecastCutover({ ...measured, durations: others }, hot);
  expect(basis).toBe("partly measured");
  expect(parts.filter((part) => !part.measured).map(({ part }) => part)).toEqual(["clone"]);
});

test("a forecast of measured parts adds them up, with a copy of less than a run's changes", () => {
  const { outageSeconds, low, high, basis, advice } = forecastCutover(measured, hot);
  expect({ basis, advice }).toEqual({ basis: "measured", advice: undefined });
  expect(outageSeconds).toBeGreaterThan(44);
  expect(outageSeconds).toBeLessThan(44 + 14 + 5);
  expect(high - low).toBeLessThanOrEqual(0.6 * outageSeconds);
});

describe("in a cold cutover", () => {
  const cold = { ...hot, quiesce: "cold" as const };
  const scan = (history: CutoverHistory, bytesToScan = cold.bytesToScan) =>
    forecastCutover(history, { ...cold, bytesToScan }).parts.find(({ part }) => part === "scan");

  test("a proof takes what it is given and what its target host took before, after the clone", () => {
    const { parts } = forecastCutover(measured, { ...cold, proveSeconds: 60, comparedSeconds: 40 });
    expect(parts.slice(4, 6)).toMatchObject([
      { part: "clone" },
      { part: "proof", seconds: 100, low: 20, high: 180, measured: true },
    ]);
    const unknown = forecastCutover(measured, { ...cold, proveSeconds: 60 }).parts;
    expect(unknown.find(({ part }) => part === "proof")).toMatchObject({ seconds: 150, measured: false });
    expect(forecastCutover(measured, cold).parts.map(({ part }) => part)).not.toContain("proof");
  });

  test("starting the boot environment and reading all disks count in place of the last copy", () => {
    const names = (question: typeof hot | typeof cold) =>
      forecastCutover(measured, question).parts.map(({ part }) => part);
    expect(names(cold).slice(0, 4)).toEqual(["quiesce", "boot-environment", "scan", "apply"]);
    expect(names(cold)).not.toContain("capture");
    expect(names(hot).slice(0, 3)).toEqual(["quiesce", "capture", "apply"]);
  });

  test("reading all disks takes what it took before, in proportion to what is in use", () => {
    const scans = [80, 82, 81].map((captureSeconds) => run({ captureSeconds, scannedBytes: 8192 * MIB }));
    const before = { ...measured, runs: [...measured.runs, ...scans] };
    expect(scan(before)).toMatchObject({ measured: true });
    expect(scan(before)?.seconds).toBeCloseTo(81, 0);
    expect(scan(before, 16_384 * MIB)?.seconds).toBeGreaterThan(100);
  });

  test("reading disks that were never read as a whole is a guess from what they hold", () => {
    expect(scan(measured)).toMatchObject({ measured: false, low: 5.5, high: 204.8 });
  });

  test("a boot environment that never started on the source has to be tried before it begins by itself", () => {
    const { "boot-environment": _, ...durations } = measured.durations;
    const forecast = forecastCutover({ ...measured, durations }, cold);
    expect(isRehearsed(forecast)).toBe(false);
    expect(forecast.advice).toMatch(/starting the boot environment\. To measure it, convert it cold once/);
    expect(isRehearsed(forecastCutover(measured, cold))).toBe(true);
  });
});

test("adapting the system counts only if that is done", () => {
  const [adapted, plain] = [hot, { ...hot, adapts: false }].map((each) => forecastCutover(measured, each));
  expect((adapted?.outageSeconds ?? 0) - (plain?.outageSeconds ?? 0)).toBeCloseTo(6, 1);
  const { adapt: _, ...durations } = measured.durations;
  expect(forecastCutover({ ...measured, durations }, { ...hot, adapts: false }).basis).toBe("measured");
});

test("the wait for a source that shuts down counts only if it is to, and so does the machine's answer", () => {
  const outage = (question: object) => forecastCutover(measured, { ...hot, ...question }).outageSeconds;
  expect(outage({ switchesOff: true }) - outage({})).toBeGreaterThanOrEqual(30);
  for (const asked of [{ answers: true }, { answersIsolated: true }])
    expect(outage(asked)).toBeGreaterThan(outage({}));
});

test("what was measured with another machine is a guess, with at least the range of one, and the advice says so", () => {
  const { boot = [], define: _, ...durations } = measured.durations;
  const otherMachine = { durations: { boot, define: [1] }, differences: ["hypervisor", "memory"] };
  const forecast = forecastCutover({ ...measured, durations, otherMachine, others: [{ boot }] }, hot);
  expect(forecast.parts.find(({ part }) => part === "boot")).toEqual({
    ...{ part: "boot", seconds: 30, low: 10, high: 300, measured: false, guessedFrom: "another-machine" },
  });
  expect({ basis: forecast.basis, isRehearsed: isRehearsed(forecast) }).toEqual({
    ...{ basis: "partly measured", isRehearsed: false },
  });
  expect(forecast.advice).toMatch(
    /^How long this takes was measured only with a machine that differs \(hypervisor, memory\) for this source on this target host: defining the machine, starting the machine\. .* test network once, to a machine like the planned one\./,
  );
});

test("what other sources took on the same target host narrows a first forecast, which is no measurement", () => {
  const { quiesce, connect, ...durations } = measured.durations;
  const first = { ...measured, durations };
  const range = (history: CutoverHistory) => {
    const { low, high, basis, outageSeconds } = forecastCutover(history, hot);
    expect(basis).toBe("partly measured");
    return (high - low) / outageSeconds;
  };
  const others = [{ quiesce: [3, 5, 4], connect: [1, 1, 2], boot: [300, 300, 300] }];
  expect(range(first)).toBeGreaterThan(0.6);
  expect(range({ ...first, others })).toBeLessThanOrEqual(0.6);
  expect(quiesce).toBeDefined();
  expect(connect).toBeDefined();
});

test("how much starts varied for each other source narrows the range of a start that was measured once", () => {
  const width = (others: CutoverHistory["others"]) => {
    const { parts } = forecastCutover({ ...measured, durations: { boot: [30] }, others }, hot);
    const { low = 0, high = 0, ...boot } = parts.find(({ part }) => part === "boot") ?? {};
    expect(boot).toMatchObject({ seconds: 30, measured: true });
    return high - low;
  };
  // Each is like itself, and they are unlike each other.
  expect(width([{ boot: [20, 20, 21] }, { boot: [90, 92, 89] }])).toBeLessThan(0.7 * width([]));
  expect(width([{ boot: [20] }, { boot: [90] }])).toBe(width([]));
  expect(width([{ boot: [20, 40, 20] }])).toBeGreaterThan(width([]));
});

test("runs that followed each other closely show what the last copy finds", () => {
  const close = Array.from({ length: 3 }, () =>
    run({ changedBytes: 2 * MIB, sinceSeconds: 12, captureSeconds: 9, applySeconds: 2 }),
  );
  const capture = (history: CutoverHistory) =>
    forecastCutover(history, hot).parts.find(({ part }) => part === "capture");
  expect(capture({ ...measured, runs: [...measured.runs, ...close] })?.seconds).toBeCloseTo(9, 0);
});

test("one that fits, but whose machine was never started on this host, says what measures that", () => {
  const { boot, adapt, quiesce, connect, ...durations } = measured.durations;
  const others = [{ boot: [30, 30, 30] }];
  const first = forecastCutover({ ...measured, durations, others }, hot);
  expect(first.fits).toBe(true);
  expect(isRehearsed(first)).toBe(false);
  expect(first.advice).toMatch(
    /never measured .*: adapting the system, starting the machine\. .* test network once, with `--adapt`\. Until then/,
  );
  const rehearsed = forecastCutover({ ...measured, runs: [], durations: { ...durations, boot, adapt } }, hot);
  expect(isRehearsed(rehearsed)).toBe(true);
  expect(rehearsed.advice).toBeUndefined();
});

describe("what would make the outage fit", () => {
  const advice = (history: CutoverHistory, secondsLeft: number) =>
    forecastCutover(history, { ...hot, secondsLeft });

  test("is a longer window, if everything was measured, or a faster part, the longest of all", () => {
    const { fits, advice: text } = advice(measured, 60);
    expect(fits).toBe(false);
    expect(text).toMatch(
      /^The outage can take 1 min \d\d s, and 1 min 00 s of the window is left\. Of this, starting the machine can take \d\d s: choose a longer window/,
    );
  });

  test("is a rehearsal of the part that was never measured and may take longest", () => {
    expect(advice({ ...measured, durations: {} }, 90).advice).toMatch(
      /How long starting the machine takes was never measured: recover the source to a test network once/,
    );
  });

  test("is a higher upload limit, or calmer hours, if the source changes faster than its runs carry", () => {
    const runs = [0.5, 1, 1.5, 2].map((share) =>
      run({ changedBytes: share * 9000 * MIB, sinceSeconds: share * 300, captureSeconds: share * 330 }),
    );
    expect(advice({ ...measured, runs }, 90).advice).toMatch(
      /The source changes \d+\.\d MiB a second, and its runs carry \d+\.\d MiB: raise the plan's upload limit/,
    );
  });
});
