import { CutoverId, DrillId, RecoveryId } from "#shared/protocol/ids.ts";
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
    const id = call.arguments.ID ?? "";
    const api = apiOf(call);
    const parameters = { id };
    const ended = await (DrillId.safeParse(id).success
      ? api.cancelDrill({ parameters })
      : RecoveryId.safeParse(id).success
        ? api.cancelRecovery({ parameters })
        : CutoverId.safeParse(id).success
          ? api.cancelCutover({ parameters })
          : api.cancelConversion({ parameters }));
    print(call.terminal, call.json, ended, () => `${ended.id} is ${ended.state}`);
  },
};
