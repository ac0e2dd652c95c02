import { errorFields, type Log } from "#shared/log.ts";
import type { ToAgent } from "#shared/protocol/commands.ts";
import { signMessage } from "#shared/protocol/message-signature.ts";
import { encodeMessage } from "#shared/protocol/message-size.ts";
import type { SignedMessage } from "#shared/protocol/signed-message.ts";
import type { AgentMessenger, Clock, CommandKey } from "../ports.ts";

interface SendDeps {
  agents: AgentMessenger;
  commandKey: Pick<CommandKey, "sign">;
  clock: Clock;
  log: Log;
}

/**
 * Signs and sends a message. A failure is only logged, because an agent asks for its pending commands when it
 * connects.
 */
export async function sendToAgent(deps: SendDeps, agentId: string, message: ToAgent): Promise<void> {
  let signed: SignedMessage;
  try {
    signed = await signedFor(agentId, message, deps);
  } catch (error) {
    const { type, commandId } = message;
    deps.log.error("message to agent not signed", { agentId, type, commandId, ...errorFields(error) });
    return;
  }
  await send(deps, agentId, signed);
}

/**
 * Signs and sends a command for a step that waits. Throws KMS's error if the command cannot be signed, and
 * `MessageTooLargeError` if it is too large for the broker, because the agent would never get it.
 */
export async function sendCommand(deps: SendDeps, agentId: string, message: ToAgent): Promise<void> {
  const signed = await signedFor(agentId, message, deps);
  encodeMessage(signed, `the command ${message.commandId}`);
  await send(deps, agentId, signed);
}

/** Signs at the moment of sending, even an old command, so signatures can be short-lived. */
function signedFor(
  agentId: string,
  message: ToAgent,
  { commandKey, clock }: SendDeps,
): Promise<SignedMessage> {
  return signMessage(message, { agentId, nowMs: clock.now(), sign: (bytes) => commandKey.sign(bytes) });
}

async function send({ agents, log }: SendDeps, agentId: string, signed: SignedMessage): Promise<void> {
  try {
    await agents.send(agentId, signed);
  } catch (error) {
    const { type, commandId } = signed.message;
    log.warn("message to agent not sent", { agentId, type, commandId, ...errorFields(error) });
  }
}
