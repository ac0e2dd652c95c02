import { randomUUID } from "node:crypto";
import { PlanRule } from "#shared/protocol/protection.ts";
import { sourceId } from "../agent-names.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import { type CliCommand, choicesOption } from "../command.ts";
import { UsageError } from "../errors.ts";
import { print } from "../terminal.ts";
import { PLAN_HELP, PLAN_OPTIONS, planFields, withTargetIds } from "./plan-options.ts";
import { describePlan } from "./plan-text.ts";

export const protect: CliCommand = {
  name: "protect",
  summary: "Protects a source server: takes recovery points at an interval, while it runs",
  usage:
    "protect SOURCE --every INTERVAL|--cron EXPRESSION [--start TIME] [--time-zone ZONE] [--blackout HOURS] [--keep RULES] [--disk NAME] [--all-blocks] [--bandwidth-limit BYTES] [--bandwidth-hours HOURS=BYTES] [--standby TARGET] [--drill WHEN --drill-target TARGET] [--accept RULE]",
  help: [
    ...PLAN_HELP,
    ["--all-blocks", "also copy space that file systems mark as free"],
    ["--accept RULE", `protect although this rule does not hold: ${PlanRule.options.join(", ")}`],
    ...API_HELP,
  ],
  examples: [
    "causeway protect agt_01jd… --every 15m --keep last=12,hourly=24,daily=14",
    "causeway protect agt_01jd… --every 1h --start 2030-12-31T02:30 --blackout 08:00-18:00@mon,tue,wed,thu,fri",
    "causeway protect agt_01jd… --every 1h --drill weekly --drill-target agt_01je…",
    "causeway protect agt_01jd… --every 15m --bandwidth-hours 08:00-18:00@mon,tue,wed,thu,fri=2500000",
    'causeway protect agt_01jd… --cron "30 2 * * *" --time-zone Europe/Vienna --json',
  ],
  options: {
    ...API_OPTIONS,
    ...PLAN_OPTIONS,
    "all-blocks": { type: "boolean" },
    accept: { type: "string", multiple: true },
  },
  positionals: ["SOURCE"],
  async run(call) {
    const given = planFields(call, this.name);
    if (given.intervalSeconds === undefined && given.cron === undefined)
      throw new UsageError("--every or --cron is missing", this.name);
    const api = apiOf(call);
    const { startAt, disks, bandwidthLimitBytesPerSecond, standbyTargetId, drills, ...fields } =
      await withTargetIds(api, given);
    const plan = await api.createPlan({
      body: {
        ...fields,
        sourceId: await sourceId(api, call.arguments.SOURCE),
        ...(startAt ? { startAt } : {}),
        ...(disks ? { disks } : {}),
        ...(standbyTargetId ? { standbyTargetId } : {}),
        ...(drills ? { drills } : {}),
        ...(typeof bandwidthLimitBytesPerSecond === "number" ? { bandwidthLimitBytesPerSecond } : {}),
        allBlocks: call.values["all-blocks"] === true,
        accept: choicesOption(call, "accept", PlanRule.options, this.name),
      },
      idempotencyKey: randomUUID(),
    });
    print(call.terminal, call.json, plan, () => describePlan(plan));
  },
};
