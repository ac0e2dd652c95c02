/** How long a cutover's outage will be, as the API shows it. */
import * as z from "zod";

/**
 * What happens between the source's last answer and the first one of the machine that replaces it, in order.
 * `boot-environment` and `scan`, in place of `capture`: only if the last copy is made there, by reading all
 * disks. `proof`: only if files of that copy are compared. `boot`: until its console and script have said
 * that it is up. `isolated-answer`: only if the machine is also asked while it is isolated. `switch-off`:
 * only if the source is to shut down. `answer`: only if the machine is also to answer on its network.
 */
export const OutagePart = z.enum([
  "quiesce",
  "boot-environment",
  "capture",
  "scan",
  "apply",
  "clone",
  "proof",
  "define",
  "adapt",
  "boot",
  "isolated-answer",
  "switch-off",
  "connect",
  "answer",
]);
export type OutagePart = z.infer<typeof OutagePart>;

/**
 * What a part that was not measured was guessed from. `another-machine`: the source's own machine, on another
 * hypervisor or of a very different shape. `other-sources`: their machines on the same target host.
 */
const GuessedFrom = z.enum(["another-machine", "other-sources", "nothing"]);
export type GuessedFrom = z.infer<typeof GuessedFrom>;

const seconds = z.number().nonnegative();

export const CutoverForecast = z.object({
  outageSeconds: seconds,
  /** The outage is expected to be at least this, in seconds. */
  low: seconds,
  /** The outage is expected to be at most this, in seconds. */
  high: seconds,
  /** Whether `high` fits what is left of the window. */
  fits: z.boolean(),
  /** Whether every part was measured, some were, or none. */
  basis: z.enum(["measured", "partly measured", "guessed"]),
  /**
   * What would make it fit, or, if it fits, what to measure before it can begin by itself; absent if neither
   * is needed.
   */
  advice: z.string().optional(),
  parts: z.array(
    z.object({
      ...{ part: OutagePart, seconds, low: seconds, high: seconds },
      /** Of this source, on this target host, with a machine like the one that is planned. */
      measured: z.boolean(),
      /** Absent if it was measured. */
      guessedFrom: GuessedFrom.optional(),
    }),
  ),
});
export type CutoverForecast = z.infer<typeof CutoverForecast>;
