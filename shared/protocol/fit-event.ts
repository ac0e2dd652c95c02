/** Shortens events to a size that the broker accepts. */
import { MessageTooLargeError } from "../errors/message.ts";
import { type Failure, failureOf } from "../errors.ts";
import type { AgentEvent } from "./events.ts";
import { fitInventory } from "./fit-inventory.ts";
import type { Inventory } from "./inventory.ts";
import { jsonBytes, MAX_MESSAGE_BYTES } from "./message-size.ts";

const MAX_TEXT = 4000;
const MAX_DETAILS_BYTES = 16 * 1024;
/** Room for `{"event":…}` around the event. */
const ENVELOPE_BYTES = 64;

/**
 * The event, shortened if it does not fit into a message: an inventory loses entries, a failure gets shorter
 * texts, and a result that is too large becomes a failure that says so and ends the command.
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
