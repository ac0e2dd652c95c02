import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LeaseEndedError } from "#shared/errors.ts";
import { AgentRecords, recordKeyOf } from "../commands/agent-records.ts";
import { LeaseHeld, Leases } from "./leases.ts";

const machine = {
  ...{ ownerId: "rcv_1", sourceId: "agt_1", name: "pine-1", uuid: "0b2f5c0a-7d61-8c3e-8f00-1a2b3c4d5e6f" },
};
const { signal } = new AbortController();
let dir: string;
let nowMs: number;
/** What was done to the machine, in order. */
let deeds: string[];
/** The errors in the log. */
let logged: unknown[];
/** Whether its processes are stopped. */
let isStopped: boolean;
/** What the control plane answers. */
let answer: (ownerId: string) => Promise<{ isPermanent: boolean }>;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  dir = mkdtempSync(join(tmpdir(), "causeway-leases-"));
  nowMs = 1_000_000;
  deeds = [];
  isStopped = false;
  logged = [];
  answer = async () => ({ isPermanent: false });
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(dir, { recursive: true, force: true });
});

/** A second machine, under a lease of its own. */
const other = { ...machine, ownerId: "rcv_2", name: "pine-2" };
const records = () =>
  new AgentRecords({
    ...{ dataDir: dir, folder: "leases", suffix: ".json", schema: LeaseHeld },
    key: recordKeyOf({ keyPem: "key" }),
  });

/** The leases of an agent that has just started. */
function agent({
  guard = async (): Promise<void> => void deeds.push("guard"),
  unguard = async (): Promise<void> => void deeds.push("unguard"),
  extend = async (untilMs: number): Promise<void> => void deeds.push(`until ${untilMs}`),
} = {}): Leases {
  return new Leases({
    records: records(),
    guard: {
      install: guard,
      extend: (_, untilMs) => extend(untilMs),
      remove: unguard,
    },
    renew: (ownerId) => answer(ownerId),
    signal: async (_, name) => deeds.push(name),
    isStopped: async () => isStopped,
    now: () => nowMs,
    log: { info: () => {}, warn: () => {}, error: (_, fields) => logged.push(fields) },
  });
}
const later = (ms: number) => {
  nowMs += ms;
  return vi.advanceTimersByTimeAsync(ms);
};

test("a machine is guarded before its lease is renewed the first time, and renewed again and again", async () => {
  await agent().open(machine, 1, signal);
  expect(deeds).toEqual(["guard", "until 1060000", "SIGCONT"]);
  await later(15_000);
  await vi.waitFor(() => expect(deeds.slice(3)).toEqual(["until 1075000", "SIGCONT"]));
});

test("the time counts from before the renewal was asked for, and a late answer lets nothing run", async () => {
  answer = async () => {
    nowMs += 61_000;
    return { isPermanent: false };
  };
  const leases = agent();
  await leases.open(machine, 1, signal);
  expect(deeds).toEqual(["guard", "until 1060000"]);
  expect(await leases.isPaused("rcv_1")).toBe(true);
});

test("while the control plane does not answer, nothing is promised, and afterwards the machine runs again", async () => {
  const leases = agent();
  await leases.open(machine, 1, signal);
  deeds.length = 0;
  answer = async () => {
    throw new Error("no network");
  };
  await later(15_000);
  await later(60_000);
  expect(deeds).toEqual([]);
  expect(await leases.isPaused("rcv_1")).toBe(true);
  answer = async () => ({ isPermanent: false });
  await later(3_000);
  await vi.waitFor(() => expect(deeds).toEqual(["until 1138000", "SIGCONT"]));
  expect(await leases.isPaused("rcv_1")).toBe(false);
});

// https://github.com/coreos/bugs/issues/2019
test("a host whose /run is full lets nothing run longer, and continues once there is room", async () => {
  let refused: number | undefined;
  const leases = agent({
    extend: async (untilMs) => {
      if (refused === undefined) return void deeds.push(`until ${untilMs}`);
      refused += 1;
      throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    },
  });
  await leases.open(machine, 1, signal);
  deeds.length = 0;
  refused = 0;
  await later(15_000);
  await vi.waitFor(() => expect(refused).toBe(1));
  await later(3_000);
  await vi.waitFor(() => expect(refused).toBe(2));
  expect(deeds).toEqual([]);
  refused = undefined;
  await later(3_000);
  await vi.waitFor(() => expect(deeds).toEqual(["until 1081000", "SIGCONT"]));
});

test("a machine that waits for its first lease asks for it once in each pause", async () => {
  vi.useRealTimers();
  const asked: number[] = [];
  answer = async () => {
    asked.push(performance.now());
    throw new Error("no network");
  };
  const waiting = new AbortController();
  const leases = agent();
  const opening = leases.open(machine, 1, waiting.signal);
  await vi.waitFor(() => expect(asked.length).toBeGreaterThan(2), 60_000);
  waiting.abort();
  await expect(opening).rejects.toMatchObject({ name: "AbortError" });
  // It holds the lease, and asks on.
  const before = asked.length;
  await vi.waitFor(() => expect(asked.length).toBeGreaterThan(before), 60_000);
  await leases.close("rcv_1");
  const pauses = asked.slice(1).map((at, index) => at - (asked[index] ?? 0));
  expect(Math.min(...pauses)).toBeGreaterThan(2_900);
}, 180_000);

test("a machine that is to start while its lease is asked for waits for that answer", async () => {
  const leases = agent();
  await leases.open(machine, 1, signal);
  const arriving = Promise.withResolvers<{ isPermanent: boolean }>();
  let asked = 0;
  answer = () => {
    asked++;
    return arriving.promise;
  };
  await later(15_000);
  const started = [leases.requireMayRun("rcv_1"), leases.requireMayRun("rcv_1")];
  deeds.length = 0;
  await Promise.all(Array.from({ length: 2 }, () => records().read("rcv_1")));
  arriving.resolve({ isPermanent: false });
  await Promise.all(started);
  expect(asked).toBe(1);
  expect(deeds).toEqual([`until ${nowMs + 60_000}`, "SIGCONT"]);
});

test("a lease that has ended pauses the machine at once, and is never opened again, by no agent", async () => {
  const leases = agent();
  await leases.open(machine, 2, signal);
  deeds.length = 0;
  answer = async () => {
    throw new LeaseEndedError("agt_1", 2);
  };
  await later(15_000);
  await vi.waitFor(() => expect(deeds).toEqual(["SIGSTOP", "until 0"]));
  answer = async () => ({ isPermanent: false });
  for (const term of [1, 2])
    await expect(agent().open(machine, term, signal)).rejects.toMatchObject({ name: "LeaseEndedError" });
  await expect(agent().requireMayRun("rcv_1")).rejects.toMatchObject({ name: "LeaseEndedError" });
  await agent().open(machine, 3, signal);
  expect(deeds.slice(2)).toEqual(["guard", `until ${nowMs + 60_000}`, "SIGCONT"]);
});

test("an agent that was killed continues with its leases when it starts again, but not with closed ones", async () => {
  await agent().open(machine, 1, signal);
  deeds.length = 0;
  nowMs += 30_000;
  const second = agent();
  await second.resume();
  expect(deeds).toEqual(["until 1090000", "SIGCONT"]);
  await second.close("rcv_1");
  deeds.length = 0;
  await agent().resume();
  expect(deeds).toEqual([]);
});

test("a permanent lease needs no guard and no renewal, but an agent that starts asks whether it still is", async () => {
  answer = async () => ({ isPermanent: true });
  await agent().open(machine, 1, signal);
  expect(deeds).toEqual(["guard", "unguard", "SIGCONT"]);
  await later(600_000);
  expect(deeds).toHaveLength(3);
  answer = async () => {
    throw new Error("no network");
  };
  await agent().resume();
  expect(deeds).toHaveLength(3);
  answer = async () => {
    throw new LeaseEndedError("agt_1", 1);
  };
  await agent().resume();
  // It may be off now, and be started by others later.
  expect(deeds.slice(3)).toEqual(["SIGSTOP", "guard", "until 0"]);
});

test("a permanent lease that has ended while systemd did not answer gets its guard later", async () => {
  answer = async () => ({ isPermanent: true });
  await agent().open(machine, 1, signal);
  deeds.length = 0;
  answer = async () => {
    throw new LeaseEndedError("agt_1", 1);
  };
  let isBusy = true;
  const guard = async () => {
    if (isBusy) throw new Error("systemd does not answer");
    deeds.push("guard");
  };
  await agent({ guard }).resume();
  expect(deeds).toEqual(["SIGSTOP"]);
  isBusy = false;
  await later(3_000);
  await vi.waitFor(() => expect(deeds.slice(1)).toEqual(["SIGSTOP", "guard", "until 0"]));
});

test("a machine under a permanent lease that was removed while its lease was asked for gets no guard", async () => {
  answer = async () => ({ isPermanent: true });
  const leases = agent();
  await leases.open(machine, 1, signal);
  const arriving = Promise.withResolvers<{ isPermanent: boolean }>();
  const asked = Promise.withResolvers<void>();
  answer = () => {
    asked.resolve();
    return arriving.promise;
  };
  const started = leases.requireMayRun("rcv_1");
  await asked.promise;
  await leases.close("rcv_1");
  deeds.length = 0;
  arriving.resolve({ isPermanent: true });
  await expect(started).rejects.toMatchObject({ name: "LeaseEndedError" });
  expect(deeds).toEqual(["SIGSTOP", "until 0"]);
});

test("an agent that was killed before the guard of a permanent lease was gone removes it when it starts again", async () => {
  answer = async () => ({ isPermanent: true });
  const killed = Promise.withResolvers<void>();
  const first = agent({
    unguard: () => {
      killed.resolve();
      return new Promise<never>(() => {});
    },
  });
  void first.open(machine, 1, signal);
  await killed.promise;
  expect(deeds).toEqual(["guard"]);
  deeds.length = 0;
  await agent().resume();
  expect(deeds).toEqual(["unguard", "SIGCONT"]);
});

test("an agent that starts without the control plane asks again until it knows whether a permanent lease is its own", async () => {
  answer = async () => ({ isPermanent: true });
  await agent().open(machine, 1, signal);
  deeds.length = 0;
  answer = async () => {
    throw new Error("no network");
  };
  await agent().resume();
  await later(3_000);
  await later(3_000);
  expect(deeds).toEqual([]);
  answer = async () => {
    throw new LeaseEndedError("agt_1", 1);
  };
  await later(3_000);
  await vi.waitFor(() => expect(deeds).toEqual(["SIGSTOP", "guard", "until 0"]));
});

test("a lease whose record cannot be read is logged, and the other machines continue", async () => {
  for (const one of [machine, other]) await agent().open(one, 1, signal);
  writeFileSync(join(dir, "leases/rcv_1.json"), "{");
  deeds.length = 0;
  await agent().resume();
  expect(deeds).toEqual(["until 1060000", "SIGCONT"]);
  expect(logged).toMatchObject([{ ownerId: "rcv_1" }]);
});

test("no machine waits for the answer to another one's question", async () => {
  for (const one of [machine, other]) await agent().open(one, 1, signal);
  deeds.length = 0;
  answer = (ownerId) =>
    ownerId === "rcv_1" ? new Promise<never>(() => {}) : Promise.resolve({ isPermanent: false });
  void agent().resume();
  await vi.waitFor(() => expect(deeds).toEqual(["until 1060000", "SIGCONT"]));
});

test("a machine under a permanent lease is paused if its processes are stopped, and its guard goes with it", async () => {
  answer = async () => ({ isPermanent: true });
  const leases = agent();
  await leases.open(machine, 1, signal);
  expect(await leases.isPaused("rcv_1")).toBe(false);
  isStopped = true;
  expect(await leases.isPaused("rcv_1")).toBe(true);
  deeds.length = 0;
  await leases.close("rcv_1");
  expect(deeds).toEqual(["unguard"]);
});

test("an answer that arrives after the machine was removed lets nothing run", async () => {
  const leases = agent();
  await leases.open(machine, 1, signal);
  const arriving = Promise.withResolvers<{ isPermanent: boolean }>();
  answer = () => arriving.promise;
  await later(15_000);
  await leases.close("rcv_1");
  deeds.length = 0;
  arriving.resolve({ isPermanent: false });
  await vi.waitFor(() => expect(deeds).toContain("SIGSTOP"));
  expect(deeds).not.toContain("SIGCONT");
  await expect(leases.requireMayRun("rcv_1")).rejects.toMatchObject({ name: "LeaseEndedError" });
});
