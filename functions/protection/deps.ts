import type { CommandDeps } from "../conversion/deps.ts";
import type { PlanTimer, Random, Workflow } from "../ports.ts";

/** The dependencies of all code that begins and ends protection runs. */
export interface ProtectionDeps extends CommandDeps {
  /** `protection-run`: an execution's name is its run's id. */
  workflow: Workflow;
  timer: PlanTimer;
  random: Random;
}
