import type { ApiClient } from "#shared/protocol/client.ts";
import { ownerKind } from "#shared/protocol/ids.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { print } from "../terminal.ts";

export const cancel: CliCommand = {
  name: "cancel",
  summary:
    "Cancels a running conversion, drill or recovery, or a cutover that has not begun, and releases what it holds",
  usage: "cancel CONVERSION|DRILL|RECOVERY|CUTOVER",
  help: API_HELP,
  examples: ["causeway cancel cnv_01jd3v8q6m4x2k7zt5w9h0n1yb"],
  options: API_OPTIONS,
  positionals: ["ID"],
  async run(call) {
    const ended = await cancelled(apiOf(call), call.arguments.ID ?? "");
    print(call.terminal, call.json, ended, () => `${ended.id} is ${ended.state}`);
  },
};

function cancelled(api: ApiClient, id: string): Promise<{ id: string; state: string }> {
  const one = { parameters: { id } };
  switch (ownerKind(id)) {
    case "drill":
      return api.cancelDrill(one);
    case "recovery":
      return api.cancelRecovery(one);
    case "cutover":
      return api.cancelCutover(one);
    default:
      return api.cancelConversion(one);
  }
}
