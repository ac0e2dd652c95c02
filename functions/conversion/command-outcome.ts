/** Records what commands' outcomes say about the machine that a conversion or a cutover restarts. */
import type { CommandRecord } from "#shared/domain/command.ts";
import { afterCommand, afterFailure } from "#shared/domain/whereabouts.ts";
import { BootReceiptInvalidError, BootStateDiffersError, type Failure, failureOf } from "#shared/errors.ts";
import type { BootReceipt, BootStateOutcome } from "#shared/protocol/boot-receipt.ts";
import { findReceiptProblem } from "#shared/protocol/boot-receipt-signature.ts";
import { type CommandKind, commandKinds } from "#shared/protocol/commands.ts";
import { type CommandDeps, timestamp } from "./deps.ts";

export type Outcome = { output: unknown } | { failure: Failure };

/** Kinds of commands whose outcome says where the machine is or what its boot state is. */
const KINDS_ABOUT_MACHINE: readonly CommandKind[] = [
  "arm-boot",
  "reboot",
  "report-boot-state",
  "attest-boot-state",
];

/**
 * Records what a command's outcome says about the machine. Runs before the workflow gets the outcome, so the
 * next step reads up-to-date state. Safe to repeat. A receipt is stored with what restarted it. An invalid
 * receipt, or one that reports a trace of arming, turns the outcome into a failure.
 */
export async function recordOutcome(
  command: CommandRecord,
  outcome: Outcome,
  deps: CommandDeps,
): Promise<Outcome> {
  if (!KINDS_ABOUT_MACHINE.includes(command.kind)) return outcome;
  const now = timestamp(deps.clock);
  const { owners } = deps.store;
  if ("failure" in outcome) {
    await owners.learn(command.ownerId, (whereabouts) =>
      afterFailure(whereabouts, command, outcome.failure.name, now),
    );
    return outcome;
  }
  if (command.kind === "attest-boot-state") return receive(command, outcome, deps);
  await owners.learn(command.ownerId, (whereabouts) =>
    afterCommand(whereabouts, command, outcome.output, now),
  );
  return outcome;
}

async function receive(
  command: CommandRecord,
  outcome: { output: unknown },
  deps: CommandDeps,
): Promise<Outcome> {
  const { receipt } = commandKinds["attest-boot-state"].output.parse(outcome.output);
  const { store, clock } = deps;
  const problem = await problemOf(receipt, command, deps);
  if (problem !== undefined) {
    const failure = failureOf(new BootReceiptInvalidError(problem));
    return recordOutcome(command, { failure }, deps);
  }
  const now = timestamp(clock);
  const receivedAt = await store.owners.attested(command.ownerId, { receipt, receivedAt: now }, (there) =>
    afterCommand(there, command, outcome.output, now),
  );
  const { outcome: verdict, items, attestedAt } = receipt.content;
  const namesOf = (wanted: BootStateOutcome) =>
    items.filter((item) => item.outcome === wanted).map(({ name }) => name);
  const different = namesOf("different");
  await store.audit.addOnce({
    // Not the agent's time, with which it could choose its place in the audit.
    at: receivedAt,
    actor: command.agentId,
    action: verdict === "different" ? "boot-state-differs" : "boot-state-confirmed",
    subject: command.ownerId,
    outcome: "done",
    details: { attestedAt, items: items.length, different, changedByOthers: namesOf("changed-by-others") },
  });
  return verdict !== "different" ? outcome : { failure: failureOf(new BootStateDiffersError(different)) };
}

/** Why the receipt is not valid; `undefined` if it is. */
async function problemOf(
  receipt: BootReceipt,
  { agentId, ownerId }: CommandRecord,
  { store }: CommandDeps,
): Promise<string | undefined> {
  const { content } = receipt;
  if (content.conversionId !== ownerId) return `it belongs to conversion ${content.conversionId}`;
  if (content.agentId !== agentId) return `it belongs to agent ${content.agentId}`;
  const { certificatePem } = await store.agents.get(agentId);
  return certificatePem
    ? findReceiptProblem(receipt, certificatePem)
    : "the agent's certificate is not known";
}
