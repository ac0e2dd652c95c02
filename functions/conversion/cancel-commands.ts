import { type CommandRecord, cancelled, isOpen } from "#shared/domain/command.ts";
import { openCommands } from "#shared/domain/conversion-view.ts";
import { cancellationOf, failureOf } from "#shared/errors.ts";
import { type CommandDeps, timestamp } from "./deps.ts";
import { sendToAgent } from "./send-to-agent.ts";

/**
 * Cancels commands: the workflow stops waiting, and the agent gets a cancellation. The workflow's step fails
 * before the command is marked, so after an interruption a repeat finds the command still open and does both
 * again.
 */
export async function cancelCommands(commands: readonly CommandRecord[], deps: CommandDeps): Promise<void> {
  for (const { id, ownerId, agentId, taskToken } of commands) {
    if (taskToken) await deps.steps.fail(taskToken, failureOf(cancellationOf(ownerId)));
    await deps.store.commands.modify(id, (current) =>
      isOpen(current) ? cancelled(current, timestamp(deps.clock)) : current,
    );
    await sendToAgent(deps, agentId, { type: "cancel", commandId: id });
  }
}

/**
 * Cancels the open commands of a machine that has to come back: a restart into the boot environment would
 * lead it away again, and a capture would keep it there. The boot environment may still report the boot
 * state.
 */
export async function cancelOtherCommands(
  commands: readonly CommandRecord[],
  deps: CommandDeps,
): Promise<void> {
  await cancelCommands(
    openCommands(commands).filter(({ kind }) => kind !== "report-boot-state"),
    deps,
  );
}
