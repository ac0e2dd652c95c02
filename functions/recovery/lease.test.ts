import { beforeEach, expect, test, vi } from "vitest";
import { LEASE_MARGIN_SECONDS, LEASE_SECONDS } from "#shared/domain/lease.ts";
import { aRecovery } from "#shared/domain/testing/records.ts";
import { getLease, renewLease } from "../api/leases.ts";
import { run as ingest } from "../ingest/agent-events.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { run as abandonRecovery } from "../tasks/abandon-recovery.ts";
import { run as moveLease } from "../tasks/move-lease.ts";
import { beforeNextCall } from "../testing/interrupt-save.ts";
import { request, World } from "../testing/world.ts";
import { stopRecovery } from "./end-recovery.ts";

const TARGET = { certificate: "d".repeat(64) };
let world: World;
const handler = () =>
  apiHandler({ name: "api/leases", build: () => world, operations: { getLease, renewLease } }, world.runtime);
const renew = (term: number, as: { certificate: string } = TARGET, id = "rcv_1") =>
  request(handler(), "POST /owners/{id}/lease", { id }, { body: { term }, as });
const lease = async () => (await request(handler(), "GET /sources/{id}/lease", { id: "agt_source" })).body;
const move = (action: "take" | "keep" | "give-back", recoveryId = "rcv_1") =>
  moveLease({ recoveryId, action }, world);

beforeEach(async () => {
  world = await World.start();
  await world.enrolled({ source: { presence: { state: "disconnected", sessionId: "s1", at: 0 } } });
  for (const id of ["rcv_1", "rcv_2"])
    await world.store.recoveries.add(aRecovery({ id, network: "production" }));
});

test("a source that never moved has the right to run, and its target host gets no time", async () => {
  expect(await lease()).toEqual({ sourceId: "agt_source", term: 0, state: "none" });
  expect(await renew(1)).toMatchObject({ status: 409, body: { name: "LeaseEndedError" } });
});

test("the target host gets a minute each time it asks, until the lease is permanent", async () => {
  expect(await move("take")).toEqual({ term: 1, seconds: 0 });
  expect(await move("take")).toEqual({ term: 1, seconds: 0 });
  expect(await lease()).toMatchObject({ state: "held", term: 1, sourceOff: "stated", ownerId: "rcv_1" });
  expect(await renew(1)).toMatchObject({ status: 200, body: { isPermanent: false } });
  expect(await lease()).toMatchObject({ expiresAt: "2030-01-01T00:01:00.000Z" });
  world.nowMs += 1000;
  await move("keep");
  await move("keep");
  expect((await renew(1)).body).toEqual({ isPermanent: true });
  expect(await world.audited()).toEqual([
    "ada lease-held agt_source done",
    "causeway lease-permanent agt_source done",
  ]);
});

test("no other host, no source, no other recovery and no other term is given time", async () => {
  await move("take");
  expect((await renew(1, { certificate: "c".repeat(64) })).status).toBe(403);
  expect((await renew(1, { certificate: "f".repeat(64) })).status).toBe(403);
  expect((await renew(2)).status).toBe(409);
  expect((await renew(1, TARGET, "rcv_2")).status).toBe(409);
  expect((await renew(1, TARGET, "rcv_9")).status).toBe(404);
  await world.store.agents.modify("agt_target", (one) => ({ ...one, revokedAt: "2030-01-01T00:00:00.000Z" }));
  expect((await renew(1)).status).toBe(403);
});

test("a lease that is given back is not renewed, and the source gets the right once it has lapsed", async () => {
  await move("take");
  await renew(1);
  const wait = LEASE_SECONDS + LEASE_MARGIN_SECONDS;
  expect(await move("give-back")).toEqual({ term: 1, seconds: wait });
  expect((await renew(1)).status).toBe(409);
  world.nowMs += (wait - 1) * 1000;
  expect(await move("give-back")).toEqual({ term: 1, seconds: 1 });
  expect(await lease()).toMatchObject({ state: "ending" });
  world.nowMs += 1000;
  for (let times = 0; times < 2; times++) expect(await move("give-back")).toEqual({ term: 1, seconds: 0 });
  expect(await lease()).toEqual({ sourceId: "agt_source", term: 1, state: "none" });
});

test("two recoveries of one source never both run in its place, and the second can take over only what has lapsed", async () => {
  await move("take");
  await renew(1);
  await expect(move("take", "rcv_2")).rejects.toMatchObject({ name: "WrongStateError" });
  // Its workflow was stopped: nothing gives the lease back, but it is not renewed any more.
  await abandonRecovery({ recoveryId: "rcv_1", error: { Error: "States.Timeout", Cause: "" } }, world);
  expect((await renew(1)).status).toBe(409);
  await expect(move("take", "rcv_2")).rejects.toMatchObject({ name: "WrongStateError" });
  world.nowMs += (LEASE_SECONDS + LEASE_MARGIN_SECONDS) * 1000;
  expect(await move("take", "rcv_2")).toEqual({ term: 2, seconds: 0 });
  expect((await renew(1)).status).toBe(409);
  expect((await renew(2, TARGET, "rcv_2")).status).toBe(200);
});

test("after the word that everything else is off, a later recovery takes over from a permanent machine", async () => {
  await move("take");
  await move("keep");
  const leaseBefore = { state: "permanent" as const, term: 1 };
  await world.store.recoveries.modify("rcv_2", (one) => ({ ...one, leaseBefore }));
  for (let times = 0; times < 2; times++)
    expect(await move("take", "rcv_2")).toEqual({ term: 2, seconds: 0 });
  // The earlier host asks when its agent starts.
  expect(await renew(1)).toMatchObject({ status: 409, body: { name: "LeaseEndedError" } });
});

test("the word that everything else is off says nothing of a machine that became permanent after it", async () => {
  for (const leaseBefore of [
    undefined,
    { state: "none" as const, term: 0 },
    { state: "held" as const, term: 1 },
  ]) {
    await world.store.recoveries.modify("rcv_2", (one) => ({ ...one, leaseBefore }));
    await move("take");
    await move("keep");
    await expect(move("take", "rcv_2")).rejects.toMatchObject({ name: "WrongStateError" });
    expect((await renew(1)).body).toEqual({ isPermanent: true });
  }
});

test("a recovery that is given up twice at once, or renewed meanwhile, leaves one lease", async () => {
  await move("take");
  const answers = await Promise.all([renew(1), move("give-back"), move("give-back"), renew(1)]);
  expect(answers).toHaveLength(4);
  expect(await lease()).toMatchObject({ term: 1 });
  expect((await renew(1)).status).toBe(409);
});

const fences = () =>
  world.agents.commandsFor("agt_source").map(({ commandId, input }) => {
    const { term, isUp } = input as { term: number; isUp: boolean };
    return `${commandId} ${term} ${isUp}`;
  });

test("the source gets the command to fence itself when the machine may run, and to stop that when it gets its right back", async () => {
  await move("take");
  expect(fences()).toEqual(["rcv_1.set-fence.up.1 1 true"]);
  await renew(1);
  await move("give-back");
  expect(fences()).toHaveLength(1);
  world.nowMs += (LEASE_SECONDS + LEASE_MARGIN_SECONDS) * 1000;
  await move("give-back");
  expect(fences().at(-1)).toBe("rcv_1.set-fence.down.1 1 false");
});

test("a source that was away gets its fence when it connects, also after the recovery has ended", async () => {
  await move("take");
  await abandonRecovery({ recoveryId: "rcv_1", error: { Error: "States.Timeout", Cause: "" } }, world);
  expect(world.agents.messagesFor("agt_source").filter((message) => message.startsWith("cancel"))).toEqual(
    [],
  );
  expect((await world.store.commands.pending("agt_source")).map(({ id }) => id)).toEqual([
    "rcv_1.set-fence.up.1",
  ]);
});

/** The source's agent connects. */
const connect = (more: object = {}) => {
  const event = { type: "agent-connected", at: "2030-01-01T00:00:00.000Z", agentVersion: "1", bootId: "b" };
  return ingest({ agentId: "agt_source", event: { ...event, ...more } }, world);
};

test("a source gets its right back when it connects, if a stopped workflow left the lease to lapse", async () => {
  await move("take");
  await renew(1);
  await abandonRecovery({ recoveryId: "rcv_1", error: { Error: "States.Timeout", Cause: "" } }, world);
  await connect();
  expect(await lease()).toMatchObject({ state: "ending" });
  expect(fences().at(-1)).toBe("rcv_1.set-fence.up.1 1 true");
  world.nowMs += (LEASE_SECONDS + LEASE_MARGIN_SECONDS) * 1000;
  for (let times = 0; times < 2; times++) await connect();
  expect(await lease()).toMatchObject({ state: "none", term: 1 });
  expect(fences().at(-1)).toBe("rcv_1.set-fence.down.1 1 false");
});

test("a machine whose host was silent for longer than its lease keeps production, and no one else got the right", async () => {
  await move("take");
  await renew(1);
  world.nowMs += 10 * (LEASE_SECONDS + LEASE_MARGIN_SECONDS) * 1000;
  await expect(move("take", "rcv_2")).rejects.toMatchObject({ name: "WrongStateError" });
  await connect();
  expect(await lease()).toMatchObject({ state: "held", ownerId: "rcv_1", term: 1 });
  expect(fences()).toEqual(["rcv_1.set-fence.up.1 1 true", "rcv_1.set-fence.up.1 1 true"]);
  await move("keep");
  expect((await renew(1)).body).toEqual({ isPermanent: true });
});

test("a machine whose source was taken back by a person at its console does not keep production", async () => {
  await move("take");
  await renew(1);
  await connect({ brokenFence: { term: 1, at: "2029-12-31T00:00:00.000Z", by: "grace" } });
  await expect(move("keep")).rejects.toMatchObject({ name: "WrongStateError" });
  expect(await lease()).toMatchObject({ state: "none" });
  expect((await renew(1)).status).toBe(409);
});

test("a fence that was broken at the source's console ends the machine's lease, and is in the audit once", async () => {
  await move("take");
  await move("keep");
  const broken = (term: number) =>
    connect({ brokenFence: { term, at: "2029-12-31T00:00:00.000Z", by: "grace" } });
  await broken(0);
  expect(await lease()).toMatchObject({ state: "permanent" });
  world.nowMs += 1000;
  for (let times = 0; times < 2; times++) await broken(1);
  expect(await lease()).toEqual({ sourceId: "agt_source", term: 1, state: "none" });
  expect((await renew(1)).body).toMatchObject({ name: "LeaseEndedError" });
  expect((await world.audited()).slice(2)).toEqual(["agt_source fence-broken agt_source done"]);
});

test("no machine starts in place of a source that is connected, or was after the recovery was asked for", async () => {
  const connectedAgain = { state: "connected" as const, sessionId: "s2", at: Date.UTC(2030, 0, 1, 1) };
  const refused = {
    name: "SourceConnectedError",
    message: expect.stringContaining("2030-01-01T01:00:00.000Z"),
  };
  const setPresence = (presence: object) =>
    world.store.agents.modify("agt_source", (one) => ({
      ...one,
      presence: { ...one.presence, ...presence },
    }));
  await setPresence(connectedAgain);
  await expect(move("take")).rejects.toMatchObject(refused);
  await setPresence({ state: "disconnected" });
  await expect(move("take")).rejects.toMatchObject(refused);
  expect(await lease()).toMatchObject({ state: "none", term: 0 });
  expect(fences()).toEqual([]);
  await setPresence({ at: Date.UTC(2029, 0, 1) });
  expect(await move("take")).toEqual({ term: 1, seconds: 0 });
});

test("a source whose agent reports after the recovery was asked for runs, even if the broker never said so", async () => {
  world.nowMs += 1000;
  await connect();
  await expect(move("take")).rejects.toMatchObject({ name: "SourceConnectedError" });
});

const cancel = () => stopRecovery("rcv_1", "ada", world);

test("a recovery that was cancelled neither takes the right to run nor keeps it", async () => {
  await world.workflow.start("rcv_1", {});
  await move("take");
  await cancel();
  for (const action of ["take", "keep"] as const)
    await expect(move(action)).rejects.toMatchObject({ name: "RecoveryCancelledError" });
  expect(await lease()).toMatchObject({ state: "held" });
  expect(await move("give-back")).toEqual({ term: 1, seconds: 0 });
  expect(await lease()).toMatchObject({ state: "none" });
});

test("a recovery whose machine keeps production is not cancelled, and its lease is not given back", async () => {
  await world.workflow.start("rcv_1", {});
  await move("take");
  // The answer of the first one is lost.
  for (let times = 0; times < 2; times++) expect(await move("keep")).toEqual({ term: 1, seconds: 0 });
  await expect(cancel()).rejects.toMatchObject({ name: "WrongStateError" });
  await expect(move("give-back")).rejects.toMatchObject({ message: expect.stringContaining("permanently") });
  await world.workflow.stop("rcv_1");
  expect(await cancel()).toMatchObject({ state: "failed", failure: { name: "WorkflowInterruptedError" } });
  expect(await lease()).toMatchObject({ state: "permanent", ownerId: "rcv_1" });
});

test("of cancelling and keeping at once, one is refused", async () => {
  await world.workflow.start("rcv_1", {});
  await move("take");
  const [kept, cancelled] = await Promise.allSettled([move("keep"), cancel()]);
  expect([kept.status, cancelled.status].toSorted()).toEqual(["fulfilled", "rejected"]);
  expect((await lease()).state).toBe(kept.status === "fulfilled" ? "permanent" : "held");
});

test("a recovery that never had the lease orders nothing of the source when it gives it back", async () => {
  expect(await move("give-back")).toEqual({ term: 0, seconds: 0 });
  expect(await lease()).toMatchObject({ state: "none", term: 0 });
  expect(fences()).toEqual([]);
});

test("the lease is not noted as returned before the source's command to take its fence down is sent", async () => {
  await move("take");
  vi.spyOn(world.store.commands, "save").mockRejectedValueOnce(new Error("outage"));
  await expect(move("give-back")).rejects.toThrow("outage");
  expect(await lease()).toMatchObject({ state: "ending" });
  expect(await move("give-back")).toEqual({ term: 1, seconds: 0 });
  expect(await lease()).toMatchObject({ state: "none" });
  expect(fences().at(-1)).toBe("rcv_1.set-fence.down.1 1 false");
});

test("the audit has each change of who may run, once and in order, whichever way it came", async () => {
  const step = async (work: () => Promise<unknown>) => {
    for (let times = 0; times < 2; times++) await work();
    world.nowMs += (LEASE_SECONDS + LEASE_MARGIN_SECONDS) * 1000;
  };
  await step(() => move("take"));
  await step(() => renew(1));
  // The workflow was stopped.
  await step(() =>
    abandonRecovery({ recoveryId: "rcv_1", error: { Error: "States.Timeout", Cause: "" } }, world),
  );
  await step(() => connect());
  const { items } = await world.store.audit.page({ limit: 10 });
  const ofLease = items.reverse().filter(({ action }) => action.startsWith("lease-"));
  expect(ofLease.map(({ actor, action, subject }) => `${actor} ${action} ${subject}`)).toEqual([
    "ada lease-held agt_source",
    "causeway lease-ending agt_source",
    "causeway lease-none agt_source",
  ]);
  expect(ofLease.map(({ details }) => details)).toEqual(Array(3).fill({ term: 1, ownerId: "rcv_1" }));
});

test.each(["take", "give-back"] as const)(
  "a change whose audit entry was lost in an outage gets it from the next call (%s)",
  async (next) => {
    vi.spyOn(world.store.audit, "addOnce").mockRejectedValueOnce(new Error("outage"));
    await expect(move("take")).rejects.toThrow("outage");
    world.nowMs += 1000;
    await move(next);
    expect((await world.audited())[0]).toBe("ada lease-held agt_source done");
    expect((await world.audited()).filter((entry) => entry.includes("lease-held"))).toHaveLength(1);
  },
);

test("a change that another one forestalled is not in the audit", async () => {
  await move("take");
  world.nowMs += 1000;
  beforeNextCall(world.store.leases, "save", () => move("keep"));
  await expect(move("give-back")).rejects.toMatchObject({ message: expect.stringContaining("permanently") });
  expect(await world.audited()).toEqual([
    "ada lease-held agt_source done",
    "causeway lease-permanent agt_source done",
  ]);
});

test("a recovery that is cancelled while it takes the lease gives it back, and the source stays as it is", async () => {
  await world.workflow.start("rcv_1", {});
  await world.workflow.stop("rcv_1");
  beforeNextCall(world.store.agents, "get", cancel);
  await expect(move("take")).rejects.toMatchObject({ name: "RecoveryCancelledError" });
  expect(await world.store.recoveries.get("rcv_1")).toMatchObject({ state: "cancelled" });
  expect(await lease()).toMatchObject({ state: "ending", term: 1 });
  expect((await renew(1)).status).toBe(409);
  expect(fences()).toEqual([]);
});
