import type { ApiClient } from "#shared/protocol/client.ts";
import { API_HELP, API_OPTIONS, apiOf, everyItem } from "../api.ts";
import type { CliCall, CliCommand } from "../command.ts";
import { ConversionNotCompletedError } from "../errors.ts";
import { print, table } from "../terminal.ts";
import { WAIT_HELP, waitForEnd, waitsFor } from "../wait-for-end.ts";
import { progressLine } from "./conversion-progress.ts";
import { describeConversion } from "./conversion-text.ts";

export const conversions: CliCommand = {
  name: "conversions",
  summary: "Lists conversions, or shows one with the progress of each step",
  usage: "conversions [CONVERSION [--wait]]",
  help: [WAIT_HELP, ...API_HELP],
  examples: ["causeway conversions", "causeway conversions cnv_01jd3v8q6m4x2k7zt5w9h0n1yb --wait --json"],
  options: { ...API_OPTIONS, wait: { type: "boolean" } },
  positionals: ["CONVERSION?"],
  async run(call) {
    const api = apiOf(call);
    const id = call.arguments.CONVERSION;
    if (waitsFor(call, "CONVERSION", "conversions")) return followConversion(id ?? "", api, call);
    if (id !== undefined) {
      const conversion = await api.getConversion({ parameters: { id } });
      print(call.terminal, call.json, conversion, () => describeConversion(conversion));
      return;
    }
    const items = await everyItem((cursor) =>
      api.listConversions({ query: { limit: 200, ...(cursor ? { cursor } : {}) } }),
    );
    print(call.terminal, call.json, { items, cursor: null }, () => {
      const rows = items.map((item) => [
        item.id,
        item.type,
        item.state,
        item.sourceId,
        item.targetId,
        item.createdAt,
      ]);
      return table(["ID", "TYPE", "STATE", "SOURCE", "TARGET", "STARTED"], rows, "No conversion yet.");
    });
  },
};

/** Shows a conversion once it has ended. Throws `ConversionNotCompletedError` unless it was completed. */
export async function followConversion(id: string, api: ApiClient, call: CliCall): Promise<void> {
  const ended = await waitForEnd(
    () => api.getConversion({ parameters: { id } }),
    progressLine,
    call.terminal,
  );
  print(call.terminal, call.json, ended, () => describeConversion(ended));
  if (ended.state === "completed") return;
  const failure = ended.failure ?? {
    name: "UnknownFailure",
    message: `conversion ${ended.id} is ${ended.state}`,
    hint: "",
  };
  throw new ConversionNotCompletedError(failure.message, failure.hint, failure.name);
}
