import { setTimeout } from "node:timers/promises";
import type { Collection } from "#shared/protocol/resources.ts";
import { bytes } from "#shared/units.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import { type CliCommand, textOption } from "../command.ts";
import { print, table } from "../terminal.ts";

const LOOK_AGAIN_MS = 2000;

export const collectGarbage: CliCommand = {
  name: "collect-garbage",
  summary: "Deletes what no recovery point needs any more, and waits until that is done",
  usage: "collect-garbage [--source SOURCE] [--dry-run]",
  help: [
    ["--source SOURCE", "only this source's garbage (default: every source's)"],
    ["--dry-run", "show what would be deleted, and delete nothing"],
    ...API_HELP,
  ],
  examples: ["causeway collect-garbage --dry-run", "causeway collect-garbage --source agt_01jd3v8q6m --json"],
  options: { ...API_OPTIONS, source: { type: "string" }, "dry-run": { type: "boolean" } },
  positionals: [],
  async run(call) {
    const api = apiOf(call);
    const sourceId = textOption(call, "source");
    const { id } = await api.startCollection({
      body: { dryRun: call.values["dry-run"] === true, ...(sourceId ? { sourceId } : {}) },
    });
    let collection = await api.getCollection({ parameters: { id } });
    while (collection.running) {
      await setTimeout(LOOK_AGAIN_MS);
      collection = await api.getCollection({ parameters: { id } });
    }
    print(call.terminal, call.json, collection, () => collectionTable(collection));
  },
};

export function collectionTable({ results }: Collection): string {
  const rows = results.map((result) => [
    result.sourceId,
    String(result.living),
    String(result.points),
    String(result.packs),
    bytes(result.bytes),
    result.problem ? `nothing deleted: ${result.problem}` : result.dryRun ? "nothing deleted: dry run" : "-",
  ]);
  const heads = ["SOURCE", "POINTS LEFT", "POINTS", "PACKS", "SIZE", "NOTE"];
  return table(heads, rows, "There is no source.");
}
