import fc from "fast-check";
import { expect, test } from "vitest";
import { LEASE_MARGIN_SECONDS, LEASE_SECONDS } from "./lease.ts";
import { CLOCKS_DIFFER_MS, LeaseWorld, MAX_DRIFT } from "./testing/lease-world.ts";

const skewMs = fc.integer({ min: -CLOCKS_DIFFER_MS / 2, max: CLOCKS_DIFFER_MS / 2 });
const drift = fc.double({ min: -MAX_DRIFT, max: MAX_DRIFT, noNaN: true });
const machine = fc.constantFrom("source" as const, "target" as const);

type Happening = (world: LeaseWorld) => void;
/** What the protocol does next in this state; `turn` chooses where there is a choice. */
function proceed(world: LeaseWorld, turn: number, skew: number): void {
  const { state } = world.lease;
  if (state === "held" && turn > 2) world.renew();
  else if (state === "none") world.control("begin", skew);
  else if (state === "fencing") world.control(turn === 0 ? "end" : "grant", skew);
  else if (state === "held") world.control(turn === 0 ? "commit" : "end", skew);
  else world.control("return", skew);
}

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.tuple(fc.nat(9), skewMs, fc.nat(2)).map(([turn, skew, answers]) => (world: LeaseWorld) => {
      proceed(world, turn, skew);
      for (let left = answers; left > 0; left--) world.deliver(world.messages.length - 1, skew);
    }),
  },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 40 }).map((s) => (world: LeaseWorld) => world.wait(s)) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.constantFrom("begin", "grant", "end", "return", "commit"), skewMs).map(
      ([action, skew]) =>
        (world: LeaseWorld) =>
          world.control(action, skew),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.nat(), skewMs).map(
      ([at, skew]) =>
        (world: LeaseWorld) =>
          world.deliver(at, skew),
    ),
  },
  { weight: 1, arbitrary: fc.nat().map((at) => (world: LeaseWorld) => world.lose(at)) },
  {
    weight: 1,
    arbitrary: fc.tuple(machine, fc.boolean()).map(([which, is]) => (world: LeaseWorld) => {
      world.alive[which] = is;
    }),
  },
  {
    weight: 1,
    arbitrary: fc.boolean().map((is) => (world: LeaseWorld) => {
      world.sourceOn = is;
    }),
  },
);
const happenings = fc.array(happening, { maxLength: 120, size: "max" });

function after(events: readonly Happening[], clockDrift: number): LeaseWorld {
  const world = new LeaseWorld(clockDrift);
  for (const happen of events) happen(world);
  return world;
}

test("source and machine never run at the same time, whatever is lost, late, repeated or killed", () => {
  fc.assert(
    fc.property(happenings, drift, (events, clockDrift) => {
      expect(after(events, clockDrift).bothAtMs).toBeUndefined();
    }),
    { numRuns: 1000 },
  );
});

/** Everything is up again, every message arrives, and the control plane lets the lease end. */
function healed(world: LeaseWorld, seconds: number): void {
  world.alive = { source: true, target: true };
  world.sourceOn = true;
  world.messages.length = 0;
  for (let second = 0; second < seconds; second++) {
    world.control("end");
    world.control("return");
    if (world.lease.state === "none")
      world.messages.push({ to: "source", kind: "unfence", term: world.lease.term });
    world.renew();
    world.deliverAll();
    world.wait(1);
  }
}

test("once messages arrive again, exactly one of the two runs: the machine if its lease is permanent, the source otherwise", () => {
  fc.assert(
    fc.property(happenings, drift, (events, clockDrift) => {
      const world = after(events, clockDrift);
      const isPermanent = world.lease.state === "permanent";
      // The run command is pending until it is done, as every command is.
      if (isPermanent) world.messages.push({ to: "target", kind: "run", term: world.lease.term });
      world.deliverAll();
      healed(world, 2);
      if (isPermanent) {
        world.deliver(world.messages.push({ to: "target", kind: "run", term: world.lease.term }) - 1);
        healed(world, 2);
      }
      expect(world.bothAtMs).toBeUndefined();
      expect([world.sourceRuns, world.targetRuns]).toEqual([!isPermanent, isPermanent]);
    }),
    { numRuns: 500 },
  );
});

test("if the target host stays away, the source runs again within the lease and its margin", () => {
  fc.assert(
    fc.property(happenings, drift, (events, clockDrift) => {
      const world = after(events, clockDrift);
      fc.pre(world.lease.state !== "permanent");
      world.alive.target = false;
      world.alive.source = true;
      world.sourceOn = true;
      world.control("end");
      for (
        let second = 0;
        second <= LEASE_SECONDS + LEASE_MARGIN_SECONDS + CLOCKS_DIFFER_MS / 1000;
        second++
      ) {
        world.control("return");
        if (world.lease.state === "none")
          world.messages.push({ to: "source", kind: "unfence", term: world.lease.term });
        world.deliverAll();
        world.wait(1);
      }
      expect(world.bothAtMs).toBeUndefined();
      expect([world.sourceRuns, world.targetRuns]).toEqual([true, false]);
    }),
    { numRuns: 500 },
  );
});
