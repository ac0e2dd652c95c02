import { DrillId } from "#shared/protocol/ids.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { print } from "../terminal.ts";

export const cancel: CliCommand = {
  name: "cancel",
  summary: "Cancels a running conversion or drill and releases what it holds",
  usage: "cancel CONVERSION|DRILL",
  help: API_HELP,
  examples: ["causeway cancel cnv_01jd3v8q6m4x2k7zt5w9h0n1yb"],
  options: API_OPTIONS,
  positionals: ["ID"],
  async run(call) {
    const id = call.arguments.ID ?? "";
    const api = apiOf(call);
    const isDrill = DrillId.safeParse(id).success;
    const parameters = { id };
    const ended = await (isDrill ? api.cancelDrill({ parameters }) : api.cancelConversion({ parameters }));
    print(call.terminal, call.json, ended, () => `${ended.id} is ${ended.state}`);
  },
};
