import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type CutoverHistory,
  type FixedPart,
  forecastCutover,
  isRehearsed,
  type MeasuredRun,
} from "./forecast.ts";

const PARTS = ["quiesce", "boot-environment", "clone", "adapt", "define", "boot", "connect"] as const;
type TimedPart = (typeof PARTS)[number];
const HOT = { switchesOff: false, answers: false };

const someSeconds = fc.double({ min: 0, max: 5000, noNaN: true });
const anyHistory: fc.Arbitrary<CutoverHistory> = fc.record({
  runs: fc.array(
    fc.record(
      {
        changedBytes: fc.nat({ max: 2 ** 40 }),
        sinceSeconds: someSeconds,
        captureSeconds: someSeconds,
        applySeconds: someSeconds,
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
  elsewhere: fc.dictionary(fc.constantFrom<FixedPart>(...PARTS), fc.array(someSeconds, { maxLength: 3 })),
});

test("the estimate is in its range, of the whole and of each part, and what fits and was rehearsed has no advice", () => {
  fc.assert(
    fc.property(
      anyHistory,
      fc.boolean(),
      fc.integer({ min: -60, max: 20_000 }),
      (history, cold, secondsLeft) => {
        const question = { cold, adapts: cold, switchesOff: cold, answers: !cold, secondsLeft };
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
});

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

  run(sinceSeconds: number): MeasuredRun {
    const { fixedSeconds, bytesPerSecond, changePerSecond } = this.#world;
    const changedBytes = this.#varied(changePerSecond * sinceSeconds);
    return {
      ...{ changedBytes, sinceSeconds },
      captureSeconds: this.#varied(fixedSeconds + changedBytes / bytesPerSecond),
      applySeconds: this.#varied(2 + changedBytes / (3 * bytesPerSecond)),
    };
  }

  history(): CutoverHistory {
    const gap = this.#world.fixedSeconds * 1.5;
    const runs = [...Array.from({ length: 8 }, () => this.run(300)), ...[1, 2, 3].map(() => this.run(gap))];
    return {
      runs,
      durations: Object.fromEntries(PARTS.map((part) => [part, this.#times(8, part)])),
      ...{ otherMachine: { durations: {}, differences: [] }, elsewhere: {} },
    };
  }

  /** Seconds of an outage that follows copies which have settled. */
  outage(cold: boolean): number {
    const quiesce = this.part("quiesce");
    const before = this.run(this.#world.fixedSeconds);
    const last = this.run(before.captureSeconds + quiesce);
    const others = PARTS.filter((part) => part !== "quiesce" && (cold || part !== "boot-environment"));
    const copy = last.captureSeconds + (last.applySeconds ?? 0);
    return quiesce + copy + others.reduce((total, part) => total + this.part(part), 0);
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
    fc.property(world, fc.nat({ max: 2 ** 20 }), fc.boolean(), (given, seed, cold) => {
      const days = new Days(given, seed);
      const { low, high, outageSeconds, basis } = forecastCutover(days.history(), {
        ...{ ...HOT, cold, adapts: true, secondsLeft: 3600 },
      });
      expect(basis).toBe("measured");
      expect(high - low).toBeLessThanOrEqual(0.6 * outageSeconds);
      const outages = Array.from({ length: 20 }, () => days.outage(cold));
      expect(outages.filter((outage) => outage >= low && outage <= high).length).toBeGreaterThanOrEqual(18);
    }),
    { numRuns: 200 },
  );
});
