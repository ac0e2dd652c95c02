import fc from "fast-check";
import { expect, test } from "vitest";
import { type PresenceEvent, type PresenceRecord, presenceAfter, UNHEARD } from "./presence.ts";

/**
 * The life of a client as the broker sees it: sessions one after the other, the last one perhaps still open.
 */
const lives = fc
  .record({
    sessions: fc.integer({ min: 1, max: 5 }),
    open: fc.boolean(),
    step: fc.integer({ min: 1, max: 50 }),
  })
  .map(({ sessions, open, step }) => {
    const events: PresenceEvent[] = [];
    for (let n = 0; n < sessions; n++) {
      const at = 1000 + n * 100;
      events.push({ type: "connected", sessionId: `s${n}`, at });
      if (n < sessions - 1 || !open) events.push({ type: "disconnected", sessionId: `s${n}`, at: at + step });
    }
    return { events, open };
  });

const after = (events: readonly PresenceEvent[]): PresenceRecord => events.reduce(presenceAfter, UNHEARD);

test("with events in order, presence is what the last event says", () => {
  fc.assert(
    fc.property(lives, ({ events, open }) => {
      expect(after(events).state).toBe(open ? "connected" : "disconnected");
    }),
  );
});

test("an event that comes twice changes nothing the second time", () => {
  fc.assert(
    fc.property(lives, fc.nat(), ({ events }, pick) => {
      const known = after(events);
      const again = events[pick % events.length];
      expect(again && presenceAfter(known, again)).toEqual(known);
    }),
  );
});

test("the late end of an older session never hides a newer one", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10_000 }), (delay) => {
      const known = after([
        { type: "connected", sessionId: "old", at: 1000 },
        { type: "connected", sessionId: "new", at: 2000 },
        // A takeover: the broker ends the old session after it has begun the new one.
        { type: "disconnected", sessionId: "old", at: 1000 + delay },
      ]);
      expect(known).toMatchObject({ state: "connected", sessionId: "new" });
    }),
  );
});

test("a session whose end came before its beginning stays ended", () => {
  const known = after([
    { type: "disconnected", sessionId: "s1", at: 2000 },
    { type: "connected", sessionId: "s1", at: 1000 },
  ]);
  expect(known.state).toBe("disconnected");
});
