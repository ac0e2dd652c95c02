import type { ApiClient } from "#shared/protocol/client.ts";
import type { Drill } from "#shared/protocol/drill.ts";
import { duration } from "#shared/units.ts";
import { API_HELP, API_OPTIONS, apiOf, everyItem } from "../api.ts";
import type { CliCall, CliCommand } from "../command.ts";
import { DrillNotPassedError } from "../errors.ts";
import { oneLine, print, table } from "../terminal.ts";
import { WAIT_HELP, waitForEnd, waitsFor } from "../wait-for-end.ts";
import { describedAdaptation } from "./described-adaptation.ts";
import { describeProof } from "./proof-text.ts";

export const drills: CliCommand = {
  name: "drills",
  summary: "Lists drills, or shows one with what it found",
  usage: "drills [DRILL [--wait]]",
  help: [WAIT_HELP, ...API_HELP],
  examples: ["causeway drills", "causeway drills drl_01jd3v8q6m4x2k7zt5w9h0n1yb --wait --json"],
  options: { ...API_OPTIONS, wait: { type: "boolean" } },
  positionals: ["DRILL?"],
  async run(call) {
    const api = apiOf(call);
    const id = call.arguments.DRILL;
    if (waitsFor(call, "DRILL", "drills")) return followDrill(id ?? "", api, call);
    if (id !== undefined) {
      const found = await api.getDrill({ parameters: { id } });
      print(call.terminal, call.json, found, () => describeDrill(found));
      return;
    }
    const items = await everyItem((cursor) =>
      api.listDrills({ query: { limit: 200, ...(cursor ? { cursor } : {}) } }),
    );
    print(call.terminal, call.json, { items, cursor: null }, () => {
      const rows = items.map((item) => [
        ...[item.id, item.state, item.result?.verdict ?? "-", item.proof?.outcome ?? "-"],
        ...[item.pointId, item.targetId, item.createdAt],
      ]);
      const headings = ["ID", "STATE", "VERDICT", "PROOF", "POINT", "TARGET", "STARTED"];
      return table(headings, rows, "No drill yet: `causeway drill POINT --target TARGET` starts one.");
    });
  },
};

/** Shows a drill once it has ended. Throws `DrillNotPassedError` unless its clone booted, as a true copy. */
export async function followDrill(id: string, api: ApiClient, call: CliCall): Promise<void> {
  const ended = await waitForEnd(
    () => api.getDrill({ parameters: { id } }),
    () => "the target host makes a clone and boots it",
    call.terminal,
  );
  print(call.terminal, call.json, ended, () => describeDrill(ended));
  requireBooted(ended);
}

function requireBooted({ id, state, failure, result }: Drill): void {
  if (failure) throw new DrillNotPassedError(failure.message, failure.hint);
  if (!result) throw new DrillNotPassedError(`drill ${id} is ${state}`, "Start another one when ready.");
  if (result.verdict === "booted") return;
  throw new DrillNotPassedError(
    result.verdict === "unknown"
      ? `it is unknown whether the clone boots: ${result.reason}`
      : `the clone did not boot: ${result.reason}`,
    "Look at the evidence: the console's log and the screenshot are in the bucket under the keys that the drill shows.",
  );
}

function describeDrill(drill: Drill): string {
  const { id, pointId, targetId, state, proof, result, adaptation, failure, cleanUpFailure } = drill;
  const lines = [`${id} of recovery point ${pointId} on target host ${targetId}: ${state}`];
  if (proof) lines.push(...describeProof(proof).map((line) => `  ${line}`));
  if (result) {
    lines.push(`  ${result.verdict} after ${duration(result.seconds)}: ${oneLine(result.reason)}`);
    const evidence = [result.screenshotKey, result.consoleLogKey].filter((key) => key !== undefined);
    for (const key of evidence) lines.push(`  evidence: ${key}`);
  }
  if (adaptation) lines.push("  adapted before it was booted:", indented(describedAdaptation(adaptation)));
  if (failure) lines.push(`  ${failure.name}: ${oneLine(failure.message)}`, `  ${oneLine(failure.hint)}`);
  if (cleanUpFailure) {
    const { name, message, hint } = cleanUpFailure;
    lines.push(`  its clone could not be removed: ${name}: ${oneLine(message)}`, `  ${oneLine(hint)}`);
  }
  return lines.join("\n");
}

const indented = (text: string) => text.replace(/^(?=.)/gm, "    ");
