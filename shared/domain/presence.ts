/**
 * Whether an agent is connected, from the broker's life-cycle events. Events can arrive twice, late and out
 * of order, so an event counts only if it is not older than the last one, and the end of one session never
 * hides a newer session.
 */
import * as z from "zod";

export const PresenceRecord = z.object({
  state: z.enum(["connected", "disconnected", "unknown"]),
  /** The broker's id of the session that the last event was about. */
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

/** The presence after the event. Returns the same object if the event changes nothing. */
export function presenceAfter(known: PresenceRecord, event: PresenceEvent): PresenceRecord {
  return isNews(known, event) ? { state: event.type, sessionId: event.sessionId, at: event.at } : known;
}

function isNews(known: PresenceRecord, event: PresenceEvent): boolean {
  if (event.sessionId === known.sessionId) {
    // Within one session the end follows the start, even if the clock shows the same time for both.
    return known.state === "connected" && event.type === "disconnected";
  }
  // When a client connects again, the broker ends its old session. The timestamp of that end can be later
  // than the start of the new session.
  if (event.type === "disconnected" && known.state === "connected") return false;
  return event.at >= known.at;
}
