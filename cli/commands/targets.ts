import { API_HELP, API_OPTIONS, apiOf, everyItem } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { print } from "../terminal.ts";
import { agentTable } from "./agent-list.ts";

export const targets: CliCommand = {
  name: "targets",
  summary: "Lists target hosts",
  usage: "targets",
  help: API_HELP,
  examples: ["causeway targets", "causeway targets --json | jq '.items[].id'"],
  options: API_OPTIONS,
  positionals: [],
  async run(call) {
    const api = apiOf(call);
    const items = await everyItem((cursor) =>
      api.listTargets({ query: { limit: 200, ...(cursor ? { cursor } : {}) } }),
    );
    print(call.terminal, call.json, { items, cursor: null }, () =>
      agentTable(
        items,
        "No target host has enrolled yet: create a token with `causeway enrol-token --role target`.",
      ),
    );
  },
};
