import type { ApiClient } from "#shared/protocol/client.ts";
import type { Recovery } from "#shared/protocol/recovery.ts";
import { duration } from "#shared/units.ts";
import { API_HELP, API_OPTIONS, apiOf, everyItem } from "../api.ts";
import type { CliCall, CliCommand } from "../command.ts";
import { RecoveryNotCompletedError } from "../errors.ts";
import { oneLine, print, table } from "../terminal.ts";
import { WAIT_HELP, waitForEnd, waitsFor } from "../wait-for-end.ts";
import { describeAddresses } from "./address-text.ts";
import { describeNotes } from "./described-adaptation.ts";
import { describeDisk } from "./disk-text.ts";
import { describeIdentity } from "./identity-text.ts";
import { describeProof } from "./proof-text.ts";

export const recoveries: CliCommand = {
  name: "recoveries",
  summary: "Lists recoveries, or shows one with its machine and the time until that answered",
  usage: "recoveries [RECOVERY [--wait]]",
  help: [WAIT_HELP, ...API_HELP],
  examples: ["causeway recoveries", "causeway recoveries rcv_01jd3v8q6m4x2k7zt5w9h0n1yb --wait --json"],
  options: { ...API_OPTIONS, wait: { type: "boolean" } },
  positionals: ["RECOVERY?"],
  async run(call) {
    const api = apiOf(call);
    const id = call.arguments.RECOVERY;
    if (waitsFor(call, "RECOVERY", "recoveries")) return followRecovery(id ?? "", api, call);
    if (id !== undefined) {
      const found = await api.getRecovery({ parameters: { id } });
      print(call.terminal, call.json, found, () => describeRecovery(found));
      return;
    }
    const items = await everyItem((cursor) =>
      api.listRecoveries({ query: { limit: 200, ...(cursor ? { cursor } : {}) } }),
    );
    print(call.terminal, call.json, { items, cursor: null }, () => {
      const rows = items.map((item) => [
        ...[item.id, item.state, item.sourceId, item.pointId, item.targetId, item.machine?.name ?? "-"],
        item.rtoSeconds === undefined ? "-" : duration(item.rtoSeconds),
      ]);
      const headings = ["ID", "STATE", "SOURCE", "POINT", "TARGET", "MACHINE", "ANSWERED AFTER"];
      return table(headings, rows, "No recovery yet: `causeway recover SOURCE --target TARGET` starts one.");
    });
  },
};

/** Shows a recovery once it has ended. Throws `RecoveryNotCompletedError` unless its machine answered. */
export async function followRecovery(id: string, api: ApiClient, call: CliCall): Promise<void> {
  const ended = await waitForEnd(
    () => api.getRecovery({ parameters: { id } }),
    () => "the target host makes the machine and waits for its answer",
    call.terminal,
  );
  print(call.terminal, call.json, ended, () => describeRecovery(ended));
  requireCompleted(ended);
}

function requireCompleted({ id, state, failure }: Recovery): void {
  if (state === "completed") return;
  throw new RecoveryNotCompletedError(
    failure?.message ?? `recovery ${id} is ${state}`,
    failure?.hint ?? "Start another one when ready.",
  );
}

function describeRecovery(recovery: Recovery): string {
  const { id, pointId, pointCreatedAt, sourceId, targetId, state, machine, answer, failure } = recovery;
  const lines = [`${id} of source ${sourceId} on target host ${targetId}: ${state}`];
  lines.push(`  recovery point ${pointId}, recorded ${pointCreatedAt}`);
  if (recovery.proof) lines.push(...describeProof(recovery.proof).map((line) => `  ${line}`));
  lines.push(...describeIdentity(recovery.identity).map((line) => `  ${line}`));
  lines.push(...describeAddresses(recovery.addresses).map((line) => `  ${line}`));
  lines.push(...describeNotes(recovery.notes).map((line) => `  ${line}`));
  if (machine) lines.push(`  the machine ${machine.name} (${machine.hypervisor}) runs`);
  lines.push(...(recovery.disks ?? []).map((disk) => `  ${describeDisk(disk)}`));
  if (answer && recovery.rtoSeconds !== undefined)
    lines.push(`  first answer after ${duration(recovery.rtoSeconds)}: ${oneLine(answer.reason)}`);
  if (failure) lines.push(`  ${failure.name}: ${oneLine(failure.message)}`, `  ${oneLine(failure.hint)}`);
  return lines.join("\n");
}
