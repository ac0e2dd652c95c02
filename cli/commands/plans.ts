import { API_HELP, API_OPTIONS, apiOf, everyItem } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { print, table } from "../terminal.ts";
import { lagText, timesText } from "./plan-text.ts";

export const plans: CliCommand = {
  name: "plans",
  summary: "Lists protection plans: how far each is behind, and its last and next run",
  usage: "plans",
  help: API_HELP,
  examples: ["causeway plans", "causeway plans --json"],
  options: API_OPTIONS,
  positionals: [],
  async run(call) {
    const api = apiOf(call);
    const items = await everyItem((cursor) =>
      api.listPlans({ query: { limit: 200, ...(cursor ? { cursor } : {}) } }),
    );
    print(call.terminal, call.json, { items, cursor: null }, () => {
      const rows = items.map((plan) => [
        plan.id,
        plan.sourceId,
        timesText(plan),
        plan.state,
        lagText(plan),
        plan.condition.backlog.runs === null ? "-" : `${plan.condition.backlog.runs} runs`,
        plan.lastRun ? `${plan.lastRun.state} ${plan.lastRun.startedAt}` : "-",
        plan.nextRunAt ?? "-",
      ]);
      return table(
        ["ID", "SOURCE", "TIMES", "STATE", "BEHIND", "BACKLOG", "LAST RUN", "NEXT RUN"],
        rows,
        "No plan yet: `causeway protect` makes one.",
      );
    });
  },
};
