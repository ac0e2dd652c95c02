import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import { type CliCommand, numberOption, textOption } from "../command.ts";
import { print, table } from "../terminal.ts";

export const audit: CliCommand = {
  name: "audit",
  summary: "Lists who did what, newest first",
  usage: "audit [--limit N] [--cursor CURSOR]",
  help: [
    ["--limit N", "how many entries to show (default 50, at most 200)"],
    ["--cursor CURSOR", "continue after the last entry of the previous page"],
    ...API_HELP,
  ],
  examples: ["causeway audit", "causeway audit --limit 200 --json"],
  options: { ...API_OPTIONS, limit: { type: "string" }, cursor: { type: "string" } },
  positionals: [],
  async run(call) {
    const limit = numberOption(call, "limit", this.name);
    const cursor = textOption(call, "cursor");
    const page = await apiOf(call).listAudit({
      query: { ...(limit !== undefined ? { limit } : {}), ...(cursor ? { cursor } : {}) },
    });
    print(call.terminal, call.json, page, () => {
      const rows = page.items.map((entry) => [
        entry.at,
        entry.actor,
        entry.action,
        entry.subject,
        entry.outcome,
      ]);
      const more = page.cursor ? `\n\nMore: --cursor ${page.cursor}` : "";
      return table(["AT", "WHO", "ACTION", "ON", "OUTCOME"], rows, "No action yet.") + more;
    });
  },
};
