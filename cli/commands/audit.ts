import type { AuditEntry } from "#shared/protocol/resources.ts";
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
      const more = page.cursor ? `\n\nMore: --cursor ${page.cursor}` : "";
      return auditTable(page.items) + more;
    });
  },
};

/** Entries as a person reads them. */
export function auditTable(entries: AuditEntry[]): string {
  const rows = entries.map((entry) => [
    ...[entry.at, entry.actor, entry.action, entry.subject],
    outcomeInWords(entry),
  ]);
  return table(["AT", "WHO", "ACTION", "ON", "OUTCOME"], rows, "No action yet.");
}

/** What can be repeated at will has one entry for an hour. */
function outcomeInWords({ outcome, count = 1, lastAt }: AuditEntry): string {
  return count > 1 ? `${outcome} ${count} times, last ${lastAt}` : outcome;
}
