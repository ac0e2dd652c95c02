import type { Lease } from "#shared/protocol/lease.ts";
import { sourceId } from "../agent-names.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { print } from "../terminal.ts";

export const lease: CliCommand = {
  name: "lease",
  summary: "Shows who has the right to run: a source itself, or a machine in its place",
  usage: "lease SOURCE",
  help: API_HELP,
  examples: ["causeway lease agt_01jd… --json"],
  options: API_OPTIONS,
  positionals: ["SOURCE"],
  async run(call) {
    const api = apiOf(call);
    const id = await sourceId(api, call.arguments.SOURCE);
    const found = await api.getLease({ parameters: { id } });
    print(call.terminal, call.json, found, () => describeLease(found));
  },
};

function describeLease({ sourceId, term, state, ownerId, targetId, expiresAt }: Lease): string {
  const where = `the machine of ${ownerId} on target host ${targetId}`;
  if (state === "none") return `source ${sourceId} itself has the right to run (term ${term})`;
  if (state === "fencing") return `source ${sourceId} is to stop, for ${where} (term ${term})`;
  if (state === "permanent") return `${where} runs permanently in place of source ${sourceId} (term ${term})`;
  const until = expiresAt === undefined ? "" : `, until ${expiresAt}`;
  return state === "held"
    ? `${where} runs in place of source ${sourceId} by renewals${until} (term ${term})`
    : `${where} gets no more time${until}; then source ${sourceId} has the right to run (term ${term})`;
}
