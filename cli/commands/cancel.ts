import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { print } from "../terminal.ts";

export const cancel: CliCommand = {
  name: "cancel",
  summary: "Cancels a running conversion and releases what it holds",
  usage: "cancel CONVERSION",
  help: API_HELP,
  examples: ["causeway cancel cnv_01jd3v8q6m4x2k7zt5w9h0n1yb"],
  options: API_OPTIONS,
  positionals: ["CONVERSION"],
  async run(call) {
    const id = call.arguments.CONVERSION ?? "";
    const conversion = await apiOf(call).cancelConversion({ parameters: { id } });
    print(call.terminal, call.json, conversion, () => `${conversion.id} is ${conversion.state}`);
  },
};
