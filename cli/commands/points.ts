import { shortfallOf } from "#shared/domain/hook-shortfall.ts";
import { leastConsistency } from "#shared/protocol/copied-disk.ts";
import type { PointHooks } from "#shared/protocol/point-hooks.ts";
import { bytes } from "#shared/units.ts";
import { sourceId } from "../agent-names.ts";
import { API_HELP, API_OPTIONS, apiOf, everyItem } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { print, table } from "../terminal.ts";

export const points: CliCommand = {
  name: "points",
  summary: "Lists a source's recovery points, with what drills, checks and proofs found of each",
  usage: "points SOURCE",
  help: API_HELP,
  examples: ["causeway points agt_01jd3v8q6m4x2k7zt5w9h0n1yb"],
  options: API_OPTIONS,
  positionals: ["SOURCE"],
  async run(call) {
    const api = apiOf(call);
    const id = await sourceId(api, call.arguments.SOURCE);
    const items = await everyItem((cursor) =>
      api.listRecoveryPoints({ parameters: { id }, query: { limit: 200, ...(cursor ? { cursor } : {}) } }),
    );
    const shown = items.map((point) => ({
      ...point,
      consistency: leastConsistency(point.disks.map(({ consistency }) => consistency)),
      bytesStored: point.bytesStored ?? null,
      bootTested: point.bootTested ?? null,
      checked: point.checked ?? null,
      proved: point.proved ?? null,
    }));
    print(call.terminal, call.json, { items: shown, cursor: null }, () => {
      const rows = shown.map((point) => [
        point.id,
        point.createdAt,
        point.prunedAt ?? "-",
        point.consistency,
        hooksText(point.hooks),
        point.bytesStored === null ? "-" : bytes(point.bytesStored),
        point.bootTested?.verdict ?? "-",
        point.proved ? `${point.proved.outcome} (${point.proved.files} files)` : "-",
        point.checked ? `${point.checked.verdict} (${point.checked.method})` : "-",
        point.disks
          .map(
            (disk) =>
              `${disk.name} ${bytes(disk.sizeBytes)}${disk.badRanges ? ` (${disk.badRanges} bad ranges)` : ""}`,
          )
          .join(", "),
      ]);
      return table(
        ["ID", "CREATED", "PRUNED", "CONSISTENCY", "HOOKS", "STORED", "BOOT TEST", "PROOF", "CHECK", "DISKS"],
        rows,
        "No recovery point yet: `causeway protect` and `causeway convert` make some.",
      );
    });
  },
};

/** How the hooks of a point ended, in one word; `-` if none were to run. */
function hooksText(hooks: PointHooks | undefined): string {
  if (!hooks) return "-";
  if (hooks.refused !== undefined) return "refused";
  if (hooks.scripts.length === 0) return "-";
  return shortfallOf(hooks) === undefined ? "succeeded" : "failed";
}
