import { errorFields, type Log } from "#shared/log.ts";
import type { ToAgent } from "#shared/protocol/commands.ts";
import { signMessage } from "#shared/protocol/message-signature.ts";
import { encodeMessage } from "#shared/protocol/message-size.ts";
import type { SignedMessage } from "#shared/protocol/signed-message.ts";
import type { AgentMessenger, Clock, CommandKey } from "../ports.ts";

interface TellDeps {
  agents: AgentMessenger;
  commandKey: Pick<CommandKey, "sign">;
  clock: Clock;
  log: Log;
}

/**
 * Signs and sends a message. One that is lost is logged and no error: an agent asks for what is pending when
 * it connects.
 */
export async function tellAgent(deps: TellDeps, agentId: string, message: ToAgent): Promise<void> {
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
 * The same for a step that waits. Throws what KMS throws, because an agent never does what cannot be signed,
 * and `MessageTooLargeError` for what the broker does not take.
 */
export async function commandAgent(deps: TellDeps, agentId: string, message: ToAgent): Promise<void> {
  const signed = await signedFor(agentId, message, deps);
  encodeMessage(signed, `the command ${message.commandId}`);
  await send(deps, agentId, signed);
}

/** Signed at this moment, however old the command is: so the signature need not be good for long. */
function signedFor(
  agentId: string,
  message: ToAgent,
  { commandKey, clock }: TellDeps,
): Promise<SignedMessage> {
  return signMessage(message, { agentId, nowMs: clock.now(), sign: (bytes) => commandKey.sign(bytes) });
}

async function send({ agents, log }: TellDeps, agentId: string, signed: SignedMessage): Promise<void> {
  try {
    await agents.send(agentId, signed);
  } catch (error) {
    const { type, commandId } = signed.message;
    log.warn("message to agent not sent", { agentId, type, commandId, ...errorFields(error) });
  }
}
