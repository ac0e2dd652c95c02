import type { Source } from "#shared/protocol/resources.ts";
import { API_HELP, API_OPTIONS, apiOf, everyItem } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { print } from "../terminal.ts";
import { agentTable } from "./agent-list.ts";

export const sources: CliCommand = {
  name: "sources",
  summary: "Lists source servers",
  usage: "sources",
  help: API_HELP,
  examples: ["causeway sources", "causeway sources --json | jq '.items[].id'"],
  options: API_OPTIONS,
  positionals: [],
  async run(call) {
    const api = apiOf(call);
    const items = await everyItem((cursor) =>
      api.listSources({ query: { limit: 200, ...(cursor ? { cursor } : {}) } }),
    );
    print(call.terminal, call.json, { items, cursor: null }, () =>
      agentTable(
        items,
        "No source server has enrolled yet: create a token with `causeway enrol-token --role source`.",
        { heading: "FENCED SERVICES", of: fencedServices },
      ),
    );
  },
};

/** An agent that does not say is older. */
function fencedServices({ inventory }: Source): string {
  if (inventory?.fencedServices === undefined) return "unknown";
  const states = new Map(inventory.fencedUnits?.map(({ name, state }) => [name, state]));
  const shown = inventory.fencedServices.map((name) => {
    const state = states.get(name) ?? "running";
    return state === "running" ? name : `${name} (${state})`;
  });
  return shown.join(", ") || "none";
}
