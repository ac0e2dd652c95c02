import { remarksOn } from "#shared/protocol/copied-disk.ts";
import { whereaboutsInWords } from "#shared/protocol/machine.ts";
import type { Conversion } from "#shared/protocol/resources.ts";
import { bytes, duration } from "#shared/units.ts";
import { API_HELP, API_OPTIONS, apiOf, everyItem } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { oneLine, print, table } from "../terminal.ts";
import { progressLine } from "./conversion-progress.ts";
import { describeDisk } from "./disk-text.ts";

export const conversions: CliCommand = {
  name: "conversions",
  summary: "Lists conversions, or shows one with the progress of each step",
  usage: "conversions [CONVERSION]",
  help: API_HELP,
  examples: ["causeway conversions", "causeway conversions cnv_01jd3v8q6m4x2k7zt5w9h0n1yb --json"],
  options: API_OPTIONS,
  positionals: ["CONVERSION?"],
  async run(call) {
    const api = apiOf(call);
    const id = call.arguments.CONVERSION;
    if (id !== undefined) {
      const conversion = await api.getConversion({ parameters: { id } });
      print(call.terminal, call.json, conversion, () => describe(conversion));
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

/** A conversion as text for people. */
export function describe(conversion: Conversion): string {
  const lines = [
    `${conversion.id}  ${conversion.type}  ${conversion.state}`,
    `  source ${conversion.sourceId}, target ${conversion.targetId}, started ${conversion.createdAt} by ${conversion.requestedBy}`,
    ...conversion.steps.map((step) => `  ${step.name.padEnd(18)}${step.state}`),
  ];
  const { accept, whereabouts } = conversion;
  if (accept.length > 0) lines.push(`  ${conversion.requestedBy} accepted: ${accept.join(", ")}`);
  if (whereabouts) lines.push(`  the source is ${whereaboutsInWords(whereabouts)}`);
  const now = progressLine(conversion);
  if (now) lines.push(`  ${now}`);
  const { failure, result } = conversion;
  if (failure) lines.push(`  ${failure.name}: ${failure.message}`, `  ${failure.hint}`);
  if (result) {
    lines.push(
      `  read ${bytes(result.bytesRead)}, stored ${bytes(result.bytesStored)} in ${duration(result.captureSeconds)}, limited by ${result.limitingStage}`,
      ...result.disks.map((disk) => `  ${describeDisk(disk)}`),
    );
    lines.push(...result.copies.flatMap(remarksOn).map((remark) => `  ${remark}`));
    if (result.bootDisk !== undefined) lines.push(`  ${result.bootDisk} boots`);
    if (result.badRanges > 0)
      lines.push(`  ${result.badRanges} areas of the source could not be read; the clone has zeros there`);
    if (result.bootCheck) lines.push(`  boot check: ${result.bootCheck.verdict}, ${result.bootCheck.reason}`);
  }
  return lines.map(oneLine).join("\n");
}
