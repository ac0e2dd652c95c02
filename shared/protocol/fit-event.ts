/** What an agent tells, in a size that the broker takes. */
import { MessageTooLargeError } from "../errors/message.ts";
import { type Failure, failureOf } from "../errors.ts";
import type { AgentEvent } from "./events.ts";
import { fitInventory } from "./fit-inventory.ts";
import type { Inventory } from "./inventory.ts";
import { jsonBytes, MAX_MESSAGE_BYTES } from "./message-size.ts";

const MAX_TEXT = 4000;
const MAX_DETAILS_BYTES = 16 * 1024;
/** For `{"event":…}` around it. */
const ENVELOPE_BYTES = 64;

/**
 * The event, or the nearest one that fits into a message: an inventory with fewer entries, a failure with
 * shorter texts, and in place of a result that is too large the failure that says so, which ends its command.
 */
export function fitEvent(event: AgentEvent): AgentEvent {
  switch (event.type) {
    case "agent-connected":
      return event.inventory ? { ...event, inventory: fitInventory(event.inventory) } : event;
    case "command-failed":
      return { ...event, failure: fitFailure(event.failure) };
    case "command-succeeded":
      return fitResult(event);
    case "command-progressed":
      return event;
  }
}

function fitResult(event: Extract<AgentEvent, { type: "command-succeeded" }>): AgentEvent {
  const { output, ...head } = event;
  const taken = (output as { inventory?: Inventory } | null | undefined)?.inventory;
  const fitted = taken ? { ...event, output: { inventory: fitInventory(taken) } } : event;
  const bytes = jsonBytes(fitted);
  if (bytes + ENVELOPE_BYTES <= MAX_MESSAGE_BYTES) return fitted;
  const error = new MessageTooLargeError(`the result of ${event.commandId}`, bytes, MAX_MESSAGE_BYTES);
  return { ...head, type: "command-failed", failure: failureOf(error) };
}

function fitFailure({ name, message, hint, retryable, details }: Failure): Failure {
  const cut = {
    name: name.slice(0, 200),
    message: message.slice(0, MAX_TEXT),
    hint: hint.slice(0, MAX_TEXT),
    retryable,
  };
  if (!details) return cut;
  return jsonBytes(details) <= MAX_DETAILS_BYTES ? { ...cut, details } : cut;
}
