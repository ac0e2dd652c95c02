import { type CommandRecord, cancelled, isOpen } from "#shared/domain/command.ts";
import { openCommands } from "#shared/domain/conversion-view.ts";
import { ConversionCancelledError, failureOf } from "#shared/errors.ts";
import { type CommandDeps, timestamp } from "./deps.ts";
import { tellAgent } from "./tell-agent.ts";

/**
 * Ends commands that nobody wants any more: the workflow stops waiting, the agent is told to stop. The
 * workflow is told before the command is marked: broken off in between, a repeat finds the command still open
 * and does both again.
 */
export async function cancelCommands(commands: readonly CommandRecord[], deps: CommandDeps): Promise<void> {
  for (const { id, conversionId, agentId, taskToken } of commands) {
    if (taskToken) await deps.steps.fail(taskToken, failureOf(new ConversionCancelledError(conversionId)));
    await deps.store.conversions.modifyCommand(id, (current) =>
      isOpen(current) ? cancelled(current, timestamp(deps.clock)) : current,
    );
    await tellAgent(deps, agentId, { type: "cancel", commandId: id });
  }
}

/**
 * A machine that is to come back is asked for nothing else: an order to leave that is still on its way would
 * lead it away again, and a capture that goes on would keep it. What became of its boot state is heard all
 * the same.
 */
export async function callOffAllElse(commands: readonly CommandRecord[], deps: CommandDeps): Promise<void> {
  await cancelCommands(
    openCommands(commands).filter(({ kind }) => kind !== "report-boot-state"),
    deps,
  );
}
