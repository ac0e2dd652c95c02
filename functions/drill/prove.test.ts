import { beforeEach, expect, test } from "vitest";
import { DrillSite } from "../testing/drill-site.ts";

let site: DrillSite;
const point = () => site.world.store.points.get("rp_1");
const differences = [{ fileSystem: "aa", path: "/etc/hosts", what: "content" }];
const PROVED = [
  ...["target materialise", "target verify", "source hash-files", "target compare-files"],
  ...["target boot-check", "target release"],
];

beforeEach(async () => {
  site = await DrillSite.start();
});

test("a point of no instant, and a source that is not connected, are refused before anything begins", async () => {
  expect(await site.request("rp_unfrozen")).toMatchObject({
    ...{ status: 409, body: { name: "WrongStateError", detail: expect.stringContaining("not frozen") } },
  });
  await site.world.store.agents.modify("agt_source", (source) => ({
    ...source,
    presence: { ...source.presence, state: "disconnected" as const },
  }));
  expect(await site.request()).toMatchObject({
    ...{ status: 409, body: { name: "WrongStateError", detail: expect.stringContaining("not connected") } },
  });
  expect(site.commands).toEqual([]);
});

test("files of the clone are compared with the source's, then it is booted and removed; the point has both results", async () => {
  const id = await site.drill();
  expect(site.commands).toEqual(PROVED);
  expect(site.inputs["hash-files"]).toMatchObject({
    ...{ ownerId: id, disks: ["vda"], frozenFrom: "2029-12-31T22:59:59.000Z", budgetSeconds: 30 },
  });
  expect(await site.shown(id)).toMatchObject({
    ...{ state: "completed", result: { verdict: "booted" } },
    proof: { outcome: "equal", compared: { equal: 2 } },
  });
  expect(await point()).toMatchObject({
    bootTested: { drillId: id, verdict: "booted" },
    proved: { ownerId: id, outcome: "equal", files: 2 },
  });
  expect(await site.world.audited()).toContain(`causeway copy-proved ${id} done`);
});

test("a file that differs ends the drill before its clone is booted, removes the clone, and is on the point", async () => {
  site.acts = { "compare-files": [{ equal: 1, different: 1, differences }] };
  const id = await site.drill();
  expect(await site.shown(id)).toMatchObject({
    ...{ state: "failed", proof: { outcome: "different" } },
    failure: { name: "CopyDiffersError", message: expect.stringContaining("/etc/hosts") },
  });
  expect(site.commands).toEqual([...PROVED.slice(0, 4), "target release"]);
  expect(await point()).toMatchObject({ proved: { ownerId: id, outcome: "different" } });
  expect((await point()).bootTested).toBeUndefined();
});

test("a source that goes away makes the proof unknown after half an hour, and the clone is booted", async () => {
  site.acts = { "hash-files": ["away"] };
  const id = await site.drill();
  await site.pass(20);
  expect(await site.shown(id)).toMatchObject({ state: "running" });
  await site.pass(20);
  expect(await site.shown(id)).toMatchObject({
    ...{ state: "completed", result: { verdict: "booted" } },
    proof: { outcome: "unknown", reason: expect.stringContaining("AgentSilentError") },
  });
  expect(site.commands).not.toContain("target compare-files");
  expect(await point()).toMatchObject({ proved: { outcome: "unknown", files: 0 } });
  const asked = site.commands.length;
  await site.connect("agt_source");
  expect(site.commands).toHaveLength(asked);
});

test("a target host that is killed while it compares is asked again when it connects, and the source is not", async () => {
  site.acts = { "compare-files": ["away", {}] };
  const id = await site.drill();
  expect(site.commands.at(-1)).toBe("target compare-files");
  await site.pass(1);
  await site.connect("agt_target");
  expect(await site.shown(id)).toMatchObject({ state: "completed", proof: { outcome: "equal" } });
  expect(site.commands).toEqual(PROVED.toSpliced(4, 0, "target compare-files"));
});

test("a target host that is silent for half an hour while it compares makes the proof unknown, and is asked to boot the clone", async () => {
  site.acts = { "compare-files": ["away"] };
  const id = await site.drill();
  await site.pass(40);
  expect(await site.shown(id)).toMatchObject({
    ...{ state: "completed", result: { verdict: "booted" } },
    proof: { outcome: "unknown", hashed: { files: 2 }, reason: expect.stringContaining("AgentSilentError") },
  });
});

test("a drill that is cancelled while files are compared keeps no proof, and removes its clone", async () => {
  site.acts = { "compare-files": ["away"] };
  const id = await site.drill();
  await site.api("POST /drills/{id}/cancel", id);
  const drill = await site.shown(id);
  expect(drill).toMatchObject({ state: "cancelled" });
  expect(drill.proof).toBeUndefined();
  expect(site.commands.at(-1)).toBe("target release");
  expect((await point()).proved).toBeUndefined();
});

test("the receipt of a drill has what its target host signed, or why nothing is known", async () => {
  const id = await site.drill();
  const receiptOf = (one: string) => site.api("GET /drills/{id}/receipt", one);
  const { certificatePem } = await site.world.store.agents.get("agt_target");
  const { status, body } = await receiptOf(id);
  expect(status).toBe(200);
  expect(body).toMatchObject({
    ownerId: id,
    proof: {
      ...{ state: "made", frozenFrom: "2029-12-31T22:59:59.000Z", proof: { outcome: "equal" } },
      signed: { certificatePem, receipt: { content: { ownerId: id, pointId: "rp_1", outcome: "equal" } } },
    },
  });
  expect(await site.shown(id)).not.toHaveProperty("proofReceipt");

  site.acts = { "hash-files": [{ fails: "UnknownCommandError" }] };
  const unread = await receiptOf(await site.drill());
  expect(unread.body.proof).toMatchObject({ state: "made", proof: { outcome: "unknown" } });
  expect(unread.body.proof).not.toHaveProperty("signed");

  site.acts = { "hash-files": ["away"] };
  expect((await receiptOf(await site.drill())).body.proof).toEqual({ state: "none" });

  const unproved = await site.api("POST /recovery-points/{id}/drills", "rp_1", {
    body: { targetId: "agt_target" },
  });
  expect(await receiptOf(String(unproved.body.id))).toMatchObject({
    ...{ status: 404, body: { detail: expect.stringContaining("there is no receipt of drill") } },
  });
});
