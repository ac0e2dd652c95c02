import type { Log } from "#shared/log.ts";
import { errorFields } from "#shared/log.ts";
import type { ToAgent } from "#shared/protocol/commands.ts";
import type { AgentMessenger } from "../ports.ts";

/** Sends a message if the broker takes it. One that is lost is logged and no error: an agent asks for what is pending when it connects. */
export async function tellAgent(
  { agents, log }: { agents: AgentMessenger; log: Log },
  agentId: string,
  message: ToAgent,
): Promise<void> {
  try {
    await agents.send(agentId, message);
  } catch (error) {
    const { type, commandId } = message;
    log.warn("message to agent not sent", { agentId, type, commandId, ...errorFields(error) });
  }
}
