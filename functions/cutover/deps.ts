import type { ReportDeps } from "../alarm/raise.ts";
import type { Workflow } from "../ports.ts";
import type { ProtectionDeps } from "../protection/deps.ts";

/** The dependencies of code that begins and ends cutovers. */
export interface CutoverDeps extends ProtectionDeps, ReportDeps {
  /** `synchronized-cutover`: an execution's name is its cutover's id. */
  cutovers: Workflow;
}
