/**
 * For tests: a protected disk in use, whose agent, freeze helper and control plane, each a process of its
 * own, are killed at random moments.
 */
import { setTimeout as wait } from "node:timers/promises";
import type { Random } from "#agent/filesystems/testing/layouts/random.ts";
import type { Run } from "#shared/protocol/protection.ts";
import { ProtectedSite } from "./protected-site.ts";

/** A run takes less than this, mostly. */
const LONGEST_MS = 2000;
/** How long something is away, at most. */
const LONGEST_AWAY_MS = 800;
const VICTIMS = [["cloud"], ["cloud"], ["source"], ["cloud", "source"], "helper"] as const;

export class KilledSite implements AsyncDisposable {
  readonly #protected: ProtectedSite;
  /** How often something was killed during a run. */
  kills = 0;

  private constructor(site: ProtectedSite) {
    this.#protected = site;
  }

  /** Ready once the plan has its first point. */
  static async start(random: Random): Promise<KilledSite> {
    return new KilledSite(await ProtectedSite.start(random));
  }

  /** Points whose copy was compared as one of a file system. */
  get compared(): number {
    return this.#protected.compared;
  }

  /**
   * Runs the plan while something is killed and started again, and waits for the end of the run. Returns what
   * is wrong then; an empty text if nothing is.
   */
  async killAndFinish(random: Random): Promise<string> {
    const { run, faults } = await this.#protected.run((ending) => this.#killSomething(random, ending));
    return [faults, faultOf(run)].filter((fault) => fault !== "").join("; ");
  }

  /** Everything that a point names must be there, each point as it was. Returns what is not so. */
  faultsOfRepository(): Promise<string> {
    return this.#protected.faultsOfRepository();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#protected[Symbol.asyncDispose]();
  }

  async #killSomething(random: Random, ending: Promise<Run>): Promise<void> {
    const { site, disk } = this.#protected;
    let hasEnded = false;
    const whenEnded = ending.then(() => {
      hasEnded = true;
    });
    const victims = random.pick(VICTIMS);
    if (victims === "helper") {
      if (await disk.killHelper(random, () => hasEnded)) this.kills += 1;
      return;
    }
    const [pauseMs, awayMs] = [random.below(LONGEST_MS), random.below(LONGEST_AWAY_MS)];
    await Promise.race([wait(pauseMs), whenEnded]);
    if (!hasEnded) this.kills += 1;
    await site.kill(...victims);
    await wait(awayMs);
    await site.restart(...victims);
  }
}

/** Only the helper's end may fail a run: the next one then makes the point. */
function faultOf({ id, state, failure, reason }: Run): string {
  if (state === "completed" || failure?.name === "TrackerFailedError") return "";
  return `${id} is ${state}: ${failure?.message ?? reason ?? "it does not say why"}`;
}
