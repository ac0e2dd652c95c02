import { beforeEach, expect, test } from "vitest";
import { executionArn } from "../../statemachines/testing/workflow-file.ts";
import { CutoverSite } from "../testing/cutover-site.ts";

let site: CutoverSite;
const FROZEN = { frozen: { from: "2030-01-01T00:00:01.000Z", until: "2030-01-01T00:00:02.000Z" } };

beforeEach(async () => {
  site = await CutoverSite.start();
  site.freeze = FROZEN;
});

const shown = async (id: string) => (await site.api("GET /cutovers/{id}", id)).body;
const point = async () => {
  const [newest] = await site.world.store.points.ofSource("agt_source");
  return newest;
};

test("files are compared on the rehearsal's clone, before the adaptation and before the cutover waits", async () => {
  const id = await site.create({ adapt: true, proveSeconds: 30 });
  const rehearsal = site.commands.slice(site.commands.indexOf("clone-standby rehearsal"));
  expect(rehearsal).toEqual([
    ...["clone-standby rehearsal", "define-machine rehearsal", "hash-files", "compare-files"],
    ...["adapt-machine rehearsal", "release rehearsal"],
  ]);
  expect(site.inputs["hash-files"]).toMatchObject({
    ...{ budgetSeconds: 30, frozenFrom: FROZEN.frozen.from, disks: ["vda"] },
  });
  expect(await shown(id)).toMatchObject({
    ...{ state: "waiting", proveSeconds: 30, proof: { outcome: "equal", compared: { equal: 2 } } },
  });
  expect(await point()).toMatchObject({ ...FROZEN, proved: { ownerId: id, outcome: "equal", files: 2 } });
  await site.passUntil("01:01");
  expect(await shown(id)).toMatchObject({ state: "completed", proof: { outcome: "equal" } });
  expect(site.commands.filter((key) => key === "hash-files")).toHaveLength(1);
});

test("without an adaptation the clone is made for the proof and to try the machine, and removed", async () => {
  const id = await site.create({ proveSeconds: 30 });
  expect(site.commands.at(-1)).toBe("release rehearsal");
  expect(site.commands).not.toContain("adapt-machine rehearsal");
  const cutover = await shown(id);
  expect(cutover).toMatchObject({ state: "waiting", proof: { outcome: "equal" } });
  expect(cutover.rehearsal).toEqual({ state: "done", isDefinable: true });
});

test("a difference ends the cutover before its source is touched, removes the clone, and is on the point's record", async () => {
  const differences = [{ fileSystem: "aa", path: "/etc/hosts", what: "content" }];
  site.compared = { equal: 1, different: 1, differences };
  const id = await site.create({ adapt: true, proveSeconds: 30 });
  await site.passUntil("01:10");
  expect(await shown(id)).toMatchObject({
    ...{ state: "failed", proof: { outcome: "different" } },
    failure: { name: "CopyDiffersError", message: expect.stringContaining("/etc/hosts") },
  });
  expect(await point()).toMatchObject({ proved: { outcome: "different" } });
  expect(site.commands).not.toContain("set-fence up");
  expect(site.commands.at(-1)).toMatch(/remove-machine|release/);
});

test.each([
  ["a clone that fails", { "clone-standby rehearsal": [{ fails: "NoRoomError" }] }, /NoRoomError/],
  [
    "a source that cannot read files",
    { "hash-files": [{ fails: "UnknownCommandError" }] },
    /UnknownCommandError/,
  ],
  [
    "a target host that cannot read files",
    { "compare-files": [{ fails: "NoBootImageError" }] },
    /NoBootImageError/,
  ],
])("%s makes the proof unknown, and the cutover begins all the same", async (_, acts, reason) => {
  site.acts = acts;
  const id = await site.create({ proveSeconds: 30 });
  await site.passUntil("01:01");
  expect(await shown(id)).toMatchObject({
    ...{ state: "completed", proof: { outcome: "unknown", reason: expect.stringMatching(reason) } },
  });
});

test("a point that is of no instant cannot be proved, and its source is not read", async () => {
  site.freeze = {};
  const id = await site.create({ proveSeconds: 30 });
  expect(await shown(id)).toMatchObject({
    proof: { outcome: "unknown", reason: expect.stringContaining("not frozen") },
  });
  expect(site.commands).not.toContain("hash-files");
});

test("a cutover that is cancelled while files are compared ends, and removes the clone", async () => {
  site.acts = { "compare-files": ["silent"] };
  const id = await site.create({ proveSeconds: 30 });
  await site.api("POST /cutovers/{id}/cancel", id);
  expect(await shown(id)).toMatchObject({ state: "cancelled" });
  expect((await shown(id)).proof).toBeUndefined();
  expect(site.commands.at(-1)).toBe("remove-machine");
});

test("a source that was silent for half an hour is not read any more when it is back", async () => {
  site.acts = { "hash-files": ["silent"] };
  const id = await site.create({ proveSeconds: 30 });
  await site.passUntil("00:40");
  expect(await shown(id)).toMatchObject({
    ...{ state: "waiting", proof: { reason: expect.stringContaining("AgentSilentError") } },
  });
  const asked = site.commands.filter((key) => key === "hash-files").length;
  await site.connect("agt_source");
  expect(site.commands.filter((key) => key === "hash-files")).toHaveLength(asked);
});

test("a proof whose workflow is stopped from outside ends the cutover before its source is touched", async () => {
  site.acts = { "compare-files": ["silent"] };
  const id = await site.create({ proveSeconds: 30 });
  await site.states.engine.stopExecution(executionArn("prove-clone", `${id}.1`), {});
  await site.settle();
  expect(await shown(id)).toMatchObject({ state: "failed", failure: { name: "WorkflowInterruptedError" } });
  expect((await shown(id)).proof).toBeUndefined();
  expect(site.commands).not.toContain("set-fence up");
  expect(site.commands).toContain("release rehearsal");
});

const receiptOf = (id: string) => site.api("GET /cutovers/{id}/receipt", id);

test("the receipt of a cutover has the proof that was made before its window, as its target host has signed it", async () => {
  const id = await site.create({ proveSeconds: 30 });
  await site.passUntil("01:01");
  expect(await receiptOf(id)).toMatchObject({
    status: 200,
    body: {
      conversionId: id,
      proof: {
        ...{ state: "made", frozenFrom: FROZEN.frozen.from, proof: { outcome: "equal" } },
        signed: { receipt: { content: { ownerId: id, outcome: "equal", agentId: "agt_target" } } },
      },
    },
  });
});

test("a target host that is too old to sign proves the copy all the same; the receipt then has no signature", async () => {
  site.signs = false;
  const { body } = await receiptOf(await site.create({ proveSeconds: 30 }));
  expect(body.proof).toMatchObject({ state: "made", proof: { outcome: "equal" } });
  expect(body.proof).not.toHaveProperty("signed");
});

test("a cutover that was not to be proved and restarts nothing has no receipt; one whose proof never ended says so", async () => {
  expect((await receiptOf(await site.create({}))).status).toBe(404);
  const other = await CutoverSite.start();
  other.freeze = FROZEN;
  other.acts = { "compare-files": ["silent"] };
  const id = await other.create({ proveSeconds: 30 });
  const { body } = await other.api("GET /cutovers/{id}/receipt", id);
  expect(body.proof).toEqual({ state: "none" });
});
