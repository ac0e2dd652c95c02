import { parseRetention } from "#shared/domain/protection/retention.ts";
import type { PruneResult } from "#shared/protocol/resources.ts";
import { sourceId } from "../agent-names.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import { type CliCommand, textOption } from "../command.ts";
import { print, table } from "../terminal.ts";

export const prune: CliCommand = {
  name: "prune",
  summary: "Prunes the recovery points that a plan's retention does not keep",
  usage: "prune SOURCE [--plan PLAN] [--keep RULES] [--dry-run]",
  help: [
    [
      "--plan PLAN",
      "the plan that made the points (default: the one that protects the source); others' points stay",
    ],
    [
      "--keep RULES",
      "what stays, such as last=12,hourly=24,daily=14,weekly=8,monthly=12 (default: as the plan says)",
    ],
    ["--dry-run", "show what would be pruned, and prune nothing"],
    ...API_HELP,
  ],
  examples: [
    "causeway prune agt_01jd3v8q6m --dry-run",
    "causeway prune agt_01jd3v8q6m --plan plan_01jd3v --keep last=1",
  ],
  options: {
    ...API_OPTIONS,
    plan: { type: "string" },
    keep: { type: "string" },
    "dry-run": { type: "boolean" },
  },
  positionals: ["SOURCE"],
  async run(call) {
    const planId = textOption(call, "plan");
    const keep = textOption(call, "keep");
    const api = apiOf(call);
    const result = await api.pruneSource({
      parameters: { id: await sourceId(api, call.arguments.SOURCE) },
      body: {
        ...(planId ? { planId } : {}),
        ...(keep ? { retention: parseRetention(keep) } : {}),
        dryRun: call.values["dry-run"] === true,
      },
    });
    print(call.terminal, call.json, result, () => pruneTable(result));
  },
};

/** Each point with its verdict, and what that means. */
export function pruneTable({ points, dryRun }: PruneResult): string {
  const rows = points.map(({ id, createdAt, keptBy }) => [
    id,
    createdAt,
    keptBy.length > 0 ? "keep" : "prune",
    keptBy.length > 0 ? keptBy.join(", ") : "-",
  ]);
  const pruned = points.filter(({ keptBy }) => keptBy.length === 0).length;
  const count = `${pruned} of ${points.length} points`;
  const said = dryRun
    ? `${count} would be pruned. Nothing was changed.`
    : `${count} pruned. Their space is free once \`causeway collect-garbage\` runs a week from now or later.`;
  return `${table(["ID", "CREATED", "VERDICT", "KEPT BY"], rows, "No recovery point.")}\n\n${said}`;
}
