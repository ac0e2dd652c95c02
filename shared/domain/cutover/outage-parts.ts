/** The parts of an outage: what they are called, and what is expected of one that was never measured. */
import type { OutagePart } from "../../protocol/cutover-forecast.ts";
import type { Estimate } from "./estimate.ts";

/** How long the workflow waits for the source to say that it shuts down. */
export const SWITCH_OFF_ANSWER_SECONDS = 60;
/** How long the workflow waits once the source has said that it shuts down. */
export const SWITCH_OFF_WAIT_SECONDS = 30;

/** For people: what the time is for. */
export const OUTAGE_PART_TITLES: Record<OutagePart, string> = {
  quiesce: "stopping the source's services",
  "boot-environment": "starting the boot environment",
  capture: "the last copy",
  scan: "reading all disks",
  apply: "applying the last copy to the standby",
  clone: "cloning the standby",
  proof: "comparing files",
  adapt: "adapting the system",
  define: "defining the machine",
  boot: "starting the machine",
  "isolated-answer": "the machine's answer while it is isolated",
  "switch-off": "waiting for the source to shut down",
  connect: "committing, and connecting the production network",
  answer: "the machine's answer on its network",
};

/**
 * Of a part that was never measured, in seconds. How long a scan takes depends on the disks, and a proof on
 * the time that it is given.
 */
export const GUESSED_SECONDS: Record<Exclude<OutagePart, "scan" | "proof">, Estimate> = {
  quiesce: { expected: 10, low: 1, high: 60 },
  "boot-environment": { expected: 90, low: 30, high: 300 },
  capture: { expected: 30, low: 3, high: 300 },
  apply: { expected: 15, low: 1, high: 120 },
  clone: { expected: 10, low: 0, high: 120 },
  adapt: { expected: 20, low: 2, high: 120 },
  define: { expected: 3, low: 0, high: 20 },
  boot: { expected: 60, low: 10, high: 300 },
  // Its services may be ready only after its prompt.
  "isolated-answer": { expected: 5, low: 0, high: 60 },
  "switch-off": {
    expected: SWITCH_OFF_WAIT_SECONDS + 1,
    low: SWITCH_OFF_WAIT_SECONDS,
    high: SWITCH_OFF_ANSWER_SECONDS + SWITCH_OFF_WAIT_SECONDS,
  },
  connect: { expected: 2, low: 0, high: 15 },
  // It is up by then.
  answer: { expected: 2, low: 0, high: 15 },
};

/** What a machine does, or is done with it: how long that takes depends on its hypervisor and its shape. */
export const MACHINE_PARTS: ReadonlySet<OutagePart> = new Set([
  "define",
  "adapt",
  "boot",
  "isolated-answer",
  "connect",
  "answer",
]);
