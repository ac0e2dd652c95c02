import { type CommandRecord, messageOf, plan, type WantedCommand } from "#shared/domain/command.ts";
import type { CommandOwner } from "#shared/domain/command-owner.ts";
import { ConcurrentChangeError } from "#shared/errors.ts";
import { type CommandDeps, timestamp } from "./deps.ts";
import { sendToAgent } from "./send-to-agent.ts";

/** Sends a command whose result no workflow waits for. */
export async function order(
  wanted: WantedCommand,
  commands: readonly CommandRecord[],
  deps: CommandDeps,
): Promise<void> {
  const { action, command } = plan(wanted, commands, timestamp(deps.clock));
  if (action === "answer") return;
  if (command.version === 0) await addOnce(command, deps);
  await sendToAgent(deps, command.agentId, messageOf(command));
}

/** Stores the command. The id says what it does, so an existing one with this id is the same. */
async function addOnce(command: CommandRecord, { store }: CommandDeps): Promise<void> {
  try {
    await store.commands.save(command);
  } catch (error) {
    if (!(error instanceof ConcurrentChangeError)) throw error;
  }
}

/** The command that restarts the machine of a conversion or cutover out of the boot environment. */
export function rebootIntoOriginal(
  { id, sourceId, requestedBy }: Pick<CommandOwner, "id" | "sourceId" | "requestedBy">,
  round = 1,
): WantedCommand {
  return {
    ownerId: id,
    agentId: sourceId,
    requestedBy,
    round,
    kind: "reboot",
    label: "original",
    environment: "boot-environment",
    input: { conversionId: id, into: "original" },
  };
}
