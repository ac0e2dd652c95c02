import fc from "fast-check";
import { expect, test } from "vitest";
import { checkRepository } from "#agent/repository/check.ts";
import { CaptureTooOldError } from "#agent/repository/points.ts";
import { RepositoryWorld, sparseDisk } from "./testing/repository-world.ts";

const RUNS = 3;

/** What can happen beside collections, in any order. */
const Step = fc.oneof(
  // A conversion holds the source during its capture. One that the control plane gave up continues alone.
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("capture" as const), held: fc.boolean(), seed: fc.nat(3) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("commit" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("give-up" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("prune" as const), which: fc.nat(9) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      days: fc.double({ min: 0.1, max: 6, noNaN: true }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("collect" as const), slices: fc.boolean() }) },
);
type AnyStep = typeof Step extends fc.Arbitrary<infer T> ? T : never;

/** Does the steps on one repository and keeps what the test knows about it. */
class Story {
  readonly #world: RepositoryWorld;
  readonly #running: { commit: () => Promise<void>; startedAt: number; held: boolean }[] = [];
  readonly #visible = new Set<string>();
  #points = 0;

  constructor(world: RepositoryWorld) {
    this.#world = world;
  }

  async take(step: AnyStep): Promise<void> {
    if (step.do === "capture") await this.#capture(step.held, step.seed);
    if (step.do === "commit") await this.#commit();
    if (step.do === "give-up") this.#running.shift();
    if (step.do === "prune") await this.#prune(step.which);
    if (step.do === "wait") this.#world.days(step.days);
    if (step.do === "collect") await this.#collect(step.slices);
  }

  async #capture(held: boolean, seed: number): Promise<void> {
    // One holder at a time.
    if (this.#running.some((each) => each.held) && held) return;
    const id = `rp_${String(this.#points++).padStart(3, "0")}`;
    const startedAt = this.#world.clock.now();
    const commit = await this.#world.capture(id, sparseDisk(1 + (seed >> 1), seed % 2 ? [this.#points] : []));
    this.#running.push({ commit: () => commit().then(() => void this.#visible.add(id)), startedAt, held });
  }

  async #commit(): Promise<void> {
    const capture = this.#running.shift();
    await capture?.commit().catch((error: unknown) => {
      if (!(error instanceof CaptureTooOldError)) throw error;
    });
  }

  async #prune(which: number): Promise<void> {
    const id = [...this.#visible][which % (this.#visible.size || 1)];
    if (id === undefined) return;
    await this.#world.mark(id);
    this.#visible.delete(id);
  }

  async #collect(slices: boolean): Promise<void> {
    this.#world.heldSince = this.#running.find(({ held }) => held)?.startedAt;
    let turn = 0;
    const collected = await this.#world.collect(slices ? { stop: () => turn++ % 2 === 1 } : {});
    expect(collected.problem).toBeUndefined();
  }
}

test("in any order of captures, prunings and collections no visible point ever loses a block", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(Step, { minLength: 8, maxLength: 20 }), async (steps) => {
      await using world = await RepositoryWorld.start();
      const story = new Story(world);
      for (const step of steps) {
        await story.take(step);
        if (step.do !== "collect" && step.do !== "commit") continue;
        const { findings } = await checkRepository({ repository: world.repository });
        expect(findings).toEqual([]);
      }
    }),
    { numRuns: RUNS },
  );
});
