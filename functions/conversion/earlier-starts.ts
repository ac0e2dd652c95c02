import { type AgentRecord, isEarlierStart, restarted } from "#shared/domain/agent.ts";
import { BootEnvironmentLeftError } from "#shared/errors.ts";
import type { CommandDeps } from "./deps.ts";
import { settle } from "./environment.ts";

const PAGE = 200;

/**
 * A machine that was started by hand calls. What it was doing after an earlier start is over: that identity
 * went with the restart, and nobody would ever answer. The conversion fails with the reason instead of
 * waiting for a day. Repeating it changes nothing.
 *
 * The mark comes before the look at the commands, dispatch does it the other way round: one of the two sees
 * the other.
 */
export async function endEarlierStarts(agent: AgentRecord, deps: CommandDeps): Promise<void> {
  const { agents, conversions } = deps.store;
  let cursor: string | undefined;
  do {
    const page = await agents.page("source", { limit: PAGE, cursor });
    for (const { id } of page.items.filter((one) => isEarlierStart(one, agent))) {
      await agents.modify(id, (earlier) => restarted(earlier, agent.id));
      for (const command of await conversions.pendingCommands(id))
        await settle(command, new BootEnvironmentLeftError(), deps);
    }
    cursor = page.cursor ?? undefined;
  } while (cursor);
}
