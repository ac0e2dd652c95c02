import { leastConsistency } from "#shared/protocol/copied-disk.ts";
import { API_HELP, API_OPTIONS, apiOf, everyItem } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { print, table } from "../terminal.ts";
import { bytes } from "../units.ts";

export const points: CliCommand = {
  name: "points",
  summary: "Lists the recovery points of a source server",
  usage: "points SOURCE",
  help: API_HELP,
  examples: ["causeway points agt_01jd3v8q6m4x2k7zt5w9h0n1yb"],
  options: API_OPTIONS,
  positionals: ["SOURCE"],
  async run(call) {
    const api = apiOf(call);
    const id = call.arguments.SOURCE ?? "";
    const items = await everyItem((cursor) =>
      api.listRecoveryPoints({ parameters: { id }, query: { limit: 200, ...(cursor ? { cursor } : {}) } }),
    );
    print(call.terminal, call.json, { items, cursor: null }, () => {
      const rows = items.map((point) => [
        point.id,
        point.createdAt,
        point.prunedAt ?? "-",
        leastConsistency(point.disks.map(({ consistency }) => consistency)),
        point.disks
          .map(
            (disk) =>
              `${disk.name} ${bytes(disk.sizeBytes)}${disk.badRanges ? ` (${disk.badRanges} bad ranges)` : ""}`,
          )
          .join(", "),
      ]);
      return table(
        ["ID", "CREATED", "PRUNED", "CONSISTENCY", "DISKS"],
        rows,
        "No recovery point yet: `causeway convert` makes one.",
      );
    });
  },
};
