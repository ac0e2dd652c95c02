import { agentId } from "../agent-names.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { print } from "../terminal.ts";

export const revoke: CliCommand = {
  name: "revoke",
  summary:
    "Revokes an agent's certificate, immediately and permanently; credentials it holds expire within 15 minutes",
  usage: "revoke AGENT",
  help: API_HELP,
  examples: ["causeway revoke agt_01jd3v8q6m4x2k7zt5w9h0n1yb"],
  options: API_OPTIONS,
  positionals: ["AGENT"],
  async run(call) {
    const api = apiOf(call);
    const id = await agentId(api, call.arguments.AGENT);
    const revoked = await api.revokeAgent({ parameters: { id } });
    print(call.terminal, call.json, revoked, () => `${revoked.id} was revoked at ${revoked.revokedAt}`);
  },
};
