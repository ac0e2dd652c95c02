/** Names that two stacks, or a stack and an agent, share without depending on each other. */
import type { EnrollableRole } from "#shared/protocol/common.ts";
import type { WorkflowName } from "#shared/protocol/conversion-types.ts";

export const IOT_POLICY = { source: "causeway-source", target: "causeway-target" } as const satisfies Record<
  EnrollableRole,
  string
>;

export const ROLE_ALIAS = {
  source: "causeway-source-data",
  target: "causeway-target-data",
} as const satisfies Record<EnrollableRole, string>;

/** The prefix of source servers' repositories in the bucket; the thing name follows. */
export const SOURCES_PREFIX = "sources/";

/**
 * The objects that a source server's agent creates below its prefix: all of docs/format.md except marks for
 * pruning.
 */
export const WRITTEN_BY_SOURCES = ["key.json", "packs/*", "points/*", "boot-states/*"] as const;

/** The only role that deletes objects. The bucket's policy names it. */
export const COLLECTOR_ROLE = "causeway-collector";

/** What it deletes: recovery points and packs, never keys, marks, boot states or anything else. */
export const COLLECTED: readonly string[] = ["points/*", "packs/*"].map(
  (objects) => `${SOURCES_PREFIX}*/${objects}`,
);

/** The prefix of what collections of garbage keep between two slices. */
export const COLLECTIONS_PREFIX = "collections/";

/** The prefix of target hosts' screenshots and console logs; the thing name follows. */
export const EVIDENCE_PREFIX = "evidence/";

/** The group of the schedules of plans and cutovers, each named by its plan or cutover. */
export const PLAN_SCHEDULES = "causeway-plans";

/** The functions that they call. */
export const RUN_PLAN_FUNCTION = "causeway-run-plan";
export const DRILL_PLAN_FUNCTION = "causeway-drill-plan";
export const WATCH_PLAN_FUNCTION = "causeway-watch-plan";
export const WAKE_CUTOVER_FUNCTION = "causeway-wake-cutover";

/** The state machine that runs a workflow. */
export function stateMachineName(workflow: WorkflowName): string {
  return `causeway-${workflow}`;
}
