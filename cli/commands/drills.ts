import type { Drill } from "#shared/protocol/drill.ts";
import { duration } from "#shared/units.ts";
import { API_HELP, API_OPTIONS, apiOf, everyItem } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { oneLine, print, table } from "../terminal.ts";
import { describedAdaptation } from "./described-adaptation.ts";
import { describeProof } from "./proof-text.ts";

export const drills: CliCommand = {
  name: "drills",
  summary: "Lists drills, or shows one with what it found",
  usage: "drills [DRILL]",
  help: API_HELP,
  examples: ["causeway drills", "causeway drills drl_01jd3v8q6m4x2k7zt5w9h0n1yb --json"],
  options: API_OPTIONS,
  positionals: ["DRILL?"],
  async run(call) {
    const api = apiOf(call);
    const id = call.arguments.DRILL;
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

export function describeDrill(drill: Drill): string {
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
