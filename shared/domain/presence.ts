/**
 * Whether an agent is connected, told by the broker's life-cycle events. They may come twice, late and out of
 * order, so an event counts only if it is not older than what is known, and the end of one session never
 * hides a newer one.
 */
import { z } from "zod";

export const PresenceRecord = z.object({
  state: z.enum(["connected", "disconnected", "unknown"]),
  /** The broker's id of the session that this was last heard of. */
  sessionId: z.string().optional(),
  /** Milliseconds since 1970, by the broker's clock. */
  at: z.number(),
});
export type PresenceRecord = z.infer<typeof PresenceRecord>;

export const UNHEARD: PresenceRecord = { state: "unknown", at: 0 };

export interface PresenceEvent {
  type: "connected" | "disconnected";
  sessionId: string;
  at: number;
}

/** What is known after the event; the same object if the event changes nothing. */
export function hear(known: PresenceRecord, event: PresenceEvent): PresenceRecord {
  return tellsMore(known, event) ? { state: event.type, sessionId: event.sessionId, at: event.at } : known;
}

function tellsMore(known: PresenceRecord, event: PresenceEvent): boolean {
  if (event.sessionId === known.sessionId) {
    // Within one session the end follows the beginning, whatever the clock's resolution.
    return known.state === "connected" && event.type === "disconnected";
  }
  // The broker ends the old session of a client that connects again: that end may even be stamped later than
  // the new beginning.
  if (event.type === "disconnected" && known.state === "connected") return false;
  return event.at >= known.at;
}
