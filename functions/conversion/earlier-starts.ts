import { type AgentRecord, isEarlierStart, restarted } from "#shared/domain/agent.ts";
import { BootEnvironmentLeftError, failureOf } from "#shared/errors.ts";
import { endCommand } from "./agent-connected.ts";
import type { CommandDeps } from "./deps.ts";

const PAGE = 200;

/**
 * A machine that was started by hand has connected. Its work after an earlier start is over, because the
 * identity from that start was lost with the restart. So the earlier conversion fails with the reason instead
 * of waiting for a day. Repeating this changes nothing.
 *
 * This function marks the earlier start, then reads its commands. Dispatch writes the command, then reads the
 * mark. So one of the two sees the other.
 */
export async function endEarlierStarts(agent: AgentRecord, deps: CommandDeps): Promise<void> {
  const { agents, commands } = deps.store;
  let cursor: string | undefined;
  do {
    const page = await agents.page("source", { limit: PAGE, cursor });
    for (const { id } of page.items.filter((one) => isEarlierStart(one, agent))) {
      await agents.modify(id, (earlier) => restarted(earlier, agent.id));
      for (const command of await commands.pending(id))
        await endCommand(command, failureOf(new BootEnvironmentLeftError()), deps);
    }
    cursor = page.cursor ?? undefined;
  } while (cursor);
}
