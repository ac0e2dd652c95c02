import fc from "fast-check";
import { expect, test } from "vitest";
import { Quiesce, quiesces } from "../../protocol/quiesce.ts";
import {
  type CutoverHistory,
  type FixedPart,
  forecastCutover,
  isRehearsed,
  type MeasuredRun,
} from "./forecast.ts";

const PARTS = ["quiesce", "boot-environment", "clone", "adapt", "define", "boot", "connect"] as const;
type TimedPart = (typeof PARTS)[number];
const HOT = { switchesOff: false, answersIsolated: false, answers: false };

const someSeconds = fc.double({ min: 0, max: 5000, noNaN: true });
const anyHistory: fc.Arbitrary<CutoverHistory> = fc.record({
  runs: fc.array(
    fc.record(
      {
        changedBytes: fc.nat({ max: 2 ** 40 }),
        sinceSeconds: someSeconds,
        captureSeconds: someSeconds,
        applySeconds: someSeconds,
        scannedBytes: fc.nat({ max: 2 ** 40 }),
      },
      { requiredKeys: ["changedBytes", "sinceSeconds", "captureSeconds"] },
    ),
    { maxLength: 30 },
  ),
  durations: fc.dictionary(fc.constantFrom<FixedPart>(...PARTS), fc.array(someSeconds, { maxLength: 8 })),
  otherMachine: fc.record({
    durations: fc.dictionary(fc.constantFrom<FixedPart>(...PARTS), fc.array(someSeconds, { maxLength: 3 })),
    differences: fc.constant(["memory"]),
  }),
  others: fc.array(
    fc.dictionary(fc.constantFrom<FixedPart>(...PARTS), fc.array(someSeconds, { maxLength: 3 })),
    { maxLength: 3 },
  ),
});

test("the estimate is in its range, of the whole and of each part, and what fits and was rehearsed has no advice", () => {
  fc.assert(
    fc.property(
      anyHistory,
      fc.constantFrom<Quiesce>(...Quiesce.options),
      fc.boolean(),
      fc.nat({ max: 2 ** 40 }),
      fc.integer({ min: -60, max: 20_000 }),
      (history, quiesce, adapts, bytesToScan, secondsLeft) => {
        const more = { adapts, switchesOff: adapts, answersIsolated: adapts, answers: !adapts };
        const question = { quiesce, bytesToScan, ...more, secondsLeft };
        const forecast = forecastCutover(history, question);
        for (const { low, seconds, high } of [
          { ...forecast, seconds: forecast.outageSeconds },
          ...forecast.parts,
        ]) {
          expect(low).toBeGreaterThanOrEqual(0);
          expect(low).toBeLessThanOrEqual(seconds);
          expect(seconds).toBeLessThanOrEqual(high);
          expect(Number.isFinite(high)).toBe(true);
        }
        expect(forecast.fits).toBe(forecast.high <= secondsLeft);
        expect(forecast.advice === undefined).toBe(forecast.fits && isRehearsed(forecast));
        expect(forecastCutover(history, question)).toEqual(forecast);
      },
    ),
    { numRuns: 200 },
  );
});

/** A source and a target host: what each part takes on average, and by how much it varies. */
interface World {
  means: Record<TimedPart, number>;
  variation: number;
  fixedSeconds: number;
  bytesPerSecond: number;
  changePerSecond: number;
  /** To read all disks. */
  scanSeconds: number;
}

const between = (min: number, max: number) => fc.double({ min, max, noNaN: true });
const world: fc.Arbitrary<World> = fc.record({
  means: fc.record({
    quiesce: between(2, 15),
    "boot-environment": between(30, 120),
    clone: between(1, 10),
    adapt: between(3, 30),
    define: between(1, 4),
    boot: between(15, 90),
    connect: between(0.5, 3),
  }),
  variation: between(0.02, 0.07),
  fixedSeconds: between(4, 12),
  bytesPerSecond: between(10e6, 200e6),
  changePerSecond: between(1e4, 2e6),
  scanSeconds: between(20, 600),
});

const USED_BYTES = 2 ** 36;

/** Numbers in [0, 1), the same for the same seed. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What happens in such a world: each duration varies around its mean, more upwards than downwards. */
class Days {
  readonly #world: World;
  readonly #next: () => number;

  constructor(given: World, seed: number) {
    this.#world = given;
    this.#next = random(seed);
  }

  part(part: TimedPart): number {
    return this.#varied(this.#world.means[part]);
  }

  run(sinceSeconds: number, quiesce: Quiesce): MeasuredRun {
    const { fixedSeconds, bytesPerSecond, changePerSecond, scanSeconds } = this.#world;
    const changedBytes = this.#varied(changePerSecond * sinceSeconds);
    // A source without a tracker.
    const isScan = quiesce === "cold";
    return {
      ...{ changedBytes, sinceSeconds, ...(isScan ? { scannedBytes: USED_BYTES } : {}) },
      captureSeconds: this.#varied(isScan ? scanSeconds : fixedSeconds + changedBytes / bytesPerSecond),
      applySeconds: this.#varied(2 + changedBytes / (3 * bytesPerSecond)),
    };
  }

  history(quiesce: Quiesce): CutoverHistory {
    const gap = this.#gapOf(quiesce) * 1.5;
    const runs = [
      ...Array.from({ length: 8 }, () => this.run(300, quiesce)),
      ...[1, 2, 3].map(() => this.run(gap, quiesce)),
    ];
    return {
      runs,
      durations: this.durations(8),
      ...{ otherMachine: { durations: {}, differences: [] }, others: [] },
    };
  }

  /** How long each part took, `count` times. */
  durations(count: number): CutoverHistory["durations"] {
    return Object.fromEntries(PARTS.map((part) => [part, this.#times(count, part)]));
  }

  /** Seconds of an outage that follows copies which have settled. */
  outage(way: Quiesce): number {
    const quiesce = this.part("quiesce");
    const before = this.run(this.#gapOf(way), way);
    const last = this.run(before.captureSeconds + quiesce, way);
    const others = PARTS.filter(
      (part) => part !== "quiesce" && (part !== "boot-environment" || quiesces[way].restartsSource),
    );
    const copy = last.captureSeconds + (last.applySeconds ?? 0);
    return quiesce + copy + others.reduce((total, part) => total + this.part(part), 0);
  }

  #gapOf(quiesce: Quiesce): number {
    return this.#world[quiesce === "cold" ? "scanSeconds" : "fixedSeconds"];
  }

  #times(count: number, part: TimedPart): number[] {
    return Array.from({ length: count }, () => this.part(part));
  }

  #varied(mean: number): number {
    const normal = Math.sqrt(-2 * Math.log(1 - this.#next())) * Math.cos(2 * Math.PI * this.#next());
    return mean * Math.exp(this.#world.variation * normal);
  }
}

test("with a history that varies little, 18 of 20 outages are in the range, which is at most 60 % of the estimate", () => {
  fc.assert(
    fc.property(
      world,
      fc.nat({ max: 2 ** 20 }),
      fc.constantFrom<Quiesce>(...Quiesce.options),
      (given, seed, quiesce) => {
        const days = new Days(given, seed);
        expectRight(days.history(quiesce), days, quiesce);
      },
    ),
    { numRuns: 200 },
  );
});

test("so it is once a source was rehearsed twice, on a target host that has started machines of others", () => {
  fc.assert(
    fc.property(
      world,
      fc.array(world, { minLength: 3, maxLength: 3 }),
      fc.nat({ max: 2 ** 20 }),
      fc.constantFrom<Quiesce>(...Quiesce.options),
      (given, otherWorlds, seed, quiesce) => {
        const days = new Days(given, seed);
        const { variation } = given;
        const others = otherWorlds.map((other, at) =>
          new Days({ ...other, variation }, seed + at).durations(4),
        );
        expectRight({ ...days.history(quiesce), durations: days.durations(2), others }, days, quiesce);
      },
    ),
    { numRuns: 200 },
  );
});

/** That the range is narrow enough, and right for most of twenty outages. */
function expectRight(history: CutoverHistory, days: Days, quiesce: Quiesce): void {
  const { low, high, outageSeconds, basis } = forecastCutover(history, {
    ...{ ...HOT, quiesce, bytesToScan: USED_BYTES, adapts: true, secondsLeft: 3600 },
  });
  expect(basis).toBe("measured");
  expect(high - low).toBeLessThanOrEqual(0.6 * outageSeconds);
  const outages = Array.from({ length: 20 }, () => days.outage(quiesce));
  expect(outages.filter((outage) => outage >= low && outage <= high).length).toBeGreaterThanOrEqual(18);
}
