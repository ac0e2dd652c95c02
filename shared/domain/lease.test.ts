import { expect, test } from "vitest";
import { fencedFor, unfencedAfter } from "./fence.ts";
import {
  begunLease,
  brokenLease,
  endingLease,
  grantedLease,
  LEASE_MARGIN_SECONDS,
  LEASE_SECONDS,
  noLease,
  permanentLease,
  renewedLease,
  returnedLease,
  secondsUntilSource,
} from "./lease.ts";
import { CLOCKS_DIFFER_MS, LeaseWorld, MAX_DRIFT, PAUSING_MS } from "./testing/lease-world.ts";

const holder = { ownerId: "cnv_1", targetId: "agt_target" };
const at = (seconds: number) => new Date(Date.UTC(2030, 0, 1) + seconds * 1000).toISOString();
const granted = grantedLease(begunLease(noLease("agt_source"), holder), "cnv_1", "fenced");
const held = renewedLease(granted, { ...holder, term: 1 }, at(0));
const ending = endingLease(held, "cnv_1");

test("with the slowest clock, the latest pause and the clocks furthest apart, the source waits long enough, and not much longer", () => {
  const world = new LeaseWorld(-MAX_DRIFT);
  world.control("begin");
  world.deliverAll();
  world.control("grant");
  world.deliverAll();
  world.renew();
  // The request arrives at once, at a function whose clock is behind.
  world.deliver(0, -CLOCKS_DIFFER_MS / 2);
  world.messages.shift();
  world.deliverAll();
  expect([world.sourceRuns, world.targetRuns]).toEqual([false, true]);
  world.control("end");
  world.messages.length = 0;
  let waited = 0;
  for (; !world.sourceRuns && waited < 200; waited += 0.5) {
    world.wait(0.5);
    world.control("return", CLOCKS_DIFFER_MS / 2);
    world.deliverAll();
  }
  expect(world.bothAtMs).toBeUndefined();
  expect(waited).toBeLessThanOrEqual(LEASE_SECONDS + LEASE_MARGIN_SECONDS);
  expect(LEASE_MARGIN_SECONDS * 1000).toBeGreaterThan(
    CLOCKS_DIFFER_MS + LEASE_SECONDS * 1000 * MAX_DRIFT + PAUSING_MS,
  );
});

test("a lease lets nothing run before its first renewal, and each renewal counts from when it was asked for", () => {
  expect(granted.expiresAt).toBeUndefined();
  expect(secondsUntilSource(endingLease(granted, "cnv_1"), at(0))).toBe(0);
  expect(held.expiresAt).toBe(at(LEASE_SECONDS));
  // A function whose clock is behind takes nothing back.
  expect(renewedLease(held, { ...holder, term: 1 }, at(-5))).toBe(held);
});

test("only the holder of this term renews a lease, and only while it is not ending", () => {
  const refusals = [
    () => renewedLease(held, { ...holder, targetId: "agt_other", term: 1 }, at(1)),
    () => renewedLease(held, { ...holder, ownerId: "cnv_2", term: 1 }, at(1)),
    () => renewedLease(held, { ...holder, term: 2 }, at(1)),
    () => renewedLease(ending, { ...holder, term: 1 }, at(1)),
    () => renewedLease(noLease("agt_source"), { ...holder, term: 0 }, at(1)),
  ];
  for (const refused of refusals) expect(refused).toThrow("has ended");
});

test("the source gets its right back when the machine is off, or when the lease and its margin are over", () => {
  const returned = { id: "agt_source", term: 1, state: "none", version: 0 };
  const end = LEASE_SECONDS + LEASE_MARGIN_SECONDS;
  expect(returnedLease(ending, { ownerId: "cnv_1", isOff: true, now: at(1) })).toEqual(returned);
  expect(returnedLease(ending, { ownerId: "cnv_1", isOff: false, now: at(end - 1) })).toBe(ending);
  expect(secondsUntilSource(ending, at(end - 1))).toBe(1);
  expect(returnedLease(ending, { ownerId: "cnv_1", isOff: false, now: at(end) })).toEqual(returned);
  // Nothing is off that may still be renewed.
  expect(returnedLease(held, { ownerId: "cnv_1", isOff: true, now: at(end) })).toBe(held);
  expect(returnedLease(ending, { ownerId: "cnv_2", isOff: true, now: at(end) })).toBe(ending);
});

test("a permanent lease neither lapses nor ends, except at the console of the source", () => {
  const permanent = permanentLease(held, "cnv_1");
  expect(renewedLease(permanent, { ...holder, term: 1 }, at(10_000))).toBe(permanent);
  expect(() => endingLease(permanent, "cnv_1")).toThrow("runs permanently");
  expect(secondsUntilSource(permanent, at(10_000))).toBe(Number.POSITIVE_INFINITY);
  const broken = brokenLease(permanent, 1);
  expect(broken).toEqual({ id: "agt_source", term: 1, state: "none", version: 0 });
  expect(() => renewedLease(broken, { ...holder, term: 1 }, at(20_001))).toThrow("has ended");
  expect(begunLease(broken, holder)).toMatchObject({ state: "fencing", term: 2 });
});

test("one source has one lease: another owner cannot begin, grant or make permanent what it does not hold", () => {
  expect(() => begunLease(held, { ownerId: "cnv_2", targetId: "agt_target" })).toThrow(
    "cannot become fencing",
  );
  expect(() => grantedLease(begunLease(noLease("agt_source"), holder), "cnv_2", "stated")).toThrow(
    "for cnv_1",
  );
  expect(() => permanentLease(held, "cnv_2")).toThrow("for cnv_1");
  expect(begunLease(held, holder)).toBe(held);
});

test("a message about an earlier lease neither fences a source that has its right back, nor frees a fenced one", () => {
  const fenced = fencedFor({ term: 0, isUp: false }, 1);
  expect(fenced).toEqual({ term: 1, isUp: true });
  const free = unfencedAfter(fenced, 1);
  expect(free).toEqual({ term: 1, isUp: false });
  expect(fencedFor(free, 1)).toBe(free);
  const again = fencedFor(free, 2);
  expect(unfencedAfter(again, 1)).toBe(again);
  // What ended before the source heard of it does not fence it later.
  expect(fencedFor(unfencedAfter(free, 3), 3)).toEqual({ term: 3, isUp: false });
});
