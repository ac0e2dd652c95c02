import type { ApiClient } from "#shared/protocol/client.ts";
import type { Plan, PlanEdit } from "#shared/protocol/protection.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import type { CliCall, CliCommand } from "../command.ts";
import { RunSkippedError, UsageError } from "../errors.ts";
import { print } from "../terminal.ts";
import { DELETION_HELP, DELETION_OPTIONS, removePlan, removeStandby } from "./plan-deletion.ts";
import { PLAN_HELP, PLAN_OPTIONS, planFields, withTargetIds } from "./plan-options.ts";
import { describePlan, describeRun } from "./plan-text.ts";

/** What can be done with a plan, in the order of the help. */
const actions: Record<string, (api: ApiClient, id: string, call: CliCall) => Promise<void>> = {
  show: async (api, id, call) => show(await api.getPlan({ parameters: { id } }), call),
  pause: async (api, id, call) => show(await api.pausePlan({ parameters: { id } }), call),
  resume: async (api, id, call) => show(await api.resumePlan({ parameters: { id } }), call),
  run: runNow,
  edit: async (api, id, call) => {
    const body = await withTargetIds(api, editOf(call));
    show(await api.editPlan({ parameters: { id }, body }), call);
  },
  delete: removePlan,
  "forget-standby": removeStandby,
};
const CHOICES = Object.keys(actions).join("|");

export const planCommand: CliCommand = {
  name: "plan",
  summary: "Shows a protection plan, or pauses, resumes, runs, edits or deletes it, or forgets its standby",
  usage: `plan PLAN [${CHOICES}] [options of edit and delete]`,
  help: [
    ...PLAN_HELP.map(([option, meaning]): [string, string] => [option, `edit: ${meaning}`]),
    ["--no-start", "edit: forget the start time"],
    ["--no-blackout", "edit: start runs at any hour"],
    ["--no-bandwidth-limit", "edit: upload as fast as possible, except in the bandwidth hours"],
    ["--no-bandwidth-hours", "edit: the same limit at any hour"],
    ["--no-standby", "edit: keep no image on a target host; the last one stays as it is"],
    ["--no-drill", "edit: drill no points by schedule"],
    ["--all-disks", "edit: all disks that the source has at each run"],
    ...DELETION_HELP,
    ...API_HELP,
  ],
  examples: [
    "causeway plan plan_01jd… --json",
    "causeway plan plan_01jd… pause",
    "causeway plan plan_01jd… run",
    "causeway plan plan_01jd… edit --every 1h --blackout 08:00-18:00",
    "causeway plan plan_01jd… delete --dry-run --with-points",
    "causeway plan plan_01jd… delete --with-points --with-standby --yes",
    "causeway plan plan_01jd… forget-standby --yes",
  ],
  options: {
    ...API_OPTIONS,
    ...PLAN_OPTIONS,
    "no-start": { type: "boolean" },
    "no-blackout": { type: "boolean" },
    "no-bandwidth-limit": { type: "boolean" },
    "no-bandwidth-hours": { type: "boolean" },
    "no-standby": { type: "boolean" },
    "no-drill": { type: "boolean" },
    "all-disks": { type: "boolean" },
    ...DELETION_OPTIONS,
  },
  positionals: ["PLAN", "ACTION?"],
  async run(call) {
    const { ACTION: action = "show", PLAN: id = "" } = call.arguments;
    const act = Object.hasOwn(actions, action) ? actions[action] : undefined;
    if (!act) throw new UsageError(`the action must be one of ${CHOICES}, not ${action}`, "plan");
    const options = Object.keys(call.values).filter((name) => !(name in API_OPTIONS) && name !== "json");
    const foreign = options.find((name) => !ownersOf(name).includes(action));
    if (foreign !== undefined) throw new UsageError(`--${foreign} is not an option of ${action}`, "plan");
    await act(apiOf(call), id, call);
  },
};

/** What sets a field, and what empties it. */
const OPPOSITES: readonly [string, string][] = [
  ["start", "no-start"],
  ["blackout", "no-blackout"],
  ["bandwidth-limit", "no-bandwidth-limit"],
  ["bandwidth-hours", "no-bandwidth-hours"],
  ["standby", "no-standby"],
  ["drill", "no-drill"],
  ["disk", "all-disks"],
];

/** The actions that an option is about. */
function ownersOf(option: string): string[] {
  if (!(option in DELETION_OPTIONS)) return ["edit"];
  return option.startsWith("with-") ? ["delete"] : ["delete", "forget-standby"];
}

function editOf(call: CliCall): PlanEdit {
  const both = OPPOSITES.find((names) => names.every((name) => call.values[name] !== undefined));
  if (both) throw new UsageError(`give either --${both.join(" or --")}`, "plan");
  const edit: PlanEdit = {
    ...planFields(call, "plan"),
    ...(call.values["no-start"] ? { startAt: null } : {}),
    ...(call.values["no-blackout"] ? { blackout: [] } : {}),
    ...(call.values["no-bandwidth-limit"] ? { bandwidthLimitBytesPerSecond: null } : {}),
    ...(call.values["no-bandwidth-hours"] ? { bandwidthHours: [] } : {}),
    ...(call.values["no-standby"] ? { standbyTargetId: null } : {}),
    ...(call.values["no-drill"] ? { drills: null } : {}),
    ...(call.values["all-disks"] ? { disks: null } : {}),
  };
  if (Object.keys(edit).length === 0) throw new UsageError("edit needs an option to change", "plan");
  return edit;
}

async function runNow(api: ApiClient, id: string, call: CliCall): Promise<void> {
  const run = await api.runPlan({ parameters: { id } });
  print(call.terminal, call.json, run, () => describeRun(run).join("\n"));
  if (run.state === "skipped") throw new RunSkippedError(`the run did not begin: ${run.reason}`);
}

function show(found: Plan, call: CliCall): void {
  print(call.terminal, call.json, found, () => describePlan(found));
}
