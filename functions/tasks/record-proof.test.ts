import { expect, test } from "vitest";
import { aRecovery } from "#shared/domain/testing/records.ts";
import { createAgentKey } from "#shared/protocol/testing/agent-key.ts";
import * as recoveries from "../api/recoveries.ts";
import { apiHandler } from "../middleware/api-handler.ts";
import { interruptNthCall } from "../testing/interrupt-save.ts";
import { signedComparison, targetDevice } from "../testing/signing-target.ts";
import { request, World } from "../testing/world.ts";
import { Input, run } from "./record-proof.ts";

const hashed = {
  ...{ list: "a".repeat(64), files: 2, bytes: 20, found: 3, foundAll: true, changed: 1, unreadable: 0 },
  ...{ leftOut: [], seconds: 1 },
};
const compared = {
  ...{ equal: 2, bytes: 20, moved: 0, different: 0, differences: [], unopened: [], seconds: 1 },
};

test("a proof that was stored is noted with its point, also if the recovery was cancelled in between", async () => {
  const world = await World.start();
  await world.enrolled();
  const { id, pointId, sourceId } = await world.store.recoveries.add(aRecovery());
  await world.store.points.add({ id: pointId, sourceId, createdAt: "2029-12-31T23:00:00.000Z", disks: [] });
  const proof = Input.parse({ ownerId: id, pointId, hashed, compared });
  interruptNthCall(world.store.points, "noteProof", 1);
  await expect(run(proof, world)).rejects.toThrow("killed");
  await world.store.recoveries.modify(id, (one) => ({ ...one, state: "cancelling" }));
  expect(await run(proof, world)).toEqual({ outcome: "equal" });
  expect((await world.store.points.get(pointId)).proved).toMatchObject({ ownerId: id, outcome: "equal" });
});

const FROZEN = "2029-12-31T22:59:59.000Z";

/** A recovery that is being proved, by a target host that signs this besides the ordinary. */
async function proving(change: object = {}, found = compared) {
  const world = await World.start();
  const { certificatePem } = await targetDevice();
  const prove = { frozenFrom: FROZEN, budgetSeconds: 30 };
  await world.enrolled({ target: { certificatePem } });
  const { id: ownerId, pointId, sourceId } = await world.store.recoveries.add(aRecovery({ prove }));
  const frozen = { from: FROZEN, until: "2029-12-31T23:00:00.000Z" };
  await world.store.points.add({ id: pointId, sourceId, createdAt: frozen.until, disks: [], frozen });
  const asked = { ownerId, sourceId, pointId, frozenFrom: FROZEN, hashed, ...change };
  const { receipt } = signedComparison(asked, found);
  const kept = async () => (await world.store.recoveries.get(ownerId)).proofReceipt;
  const answer = (answered: object) =>
    run(Input.parse({ ownerId, pointId, hashed, compared: { ...compared, ...answered } }), world);
  return { world, receipt, kept, answer };
}

test("what the target host has signed is kept with the proof, and that of a repeated step is not", async () => {
  const { receipt, kept, answer } = await proving();
  expect(await answer({ receipt })).toEqual({ outcome: "equal" });
  expect(await kept()).toEqual(receipt);
  await answer({});
  expect(await kept()).toEqual(receipt);
});

test("the receipt of a recovery says that there is no result yet, then has it; one that was not to be proved has none", async () => {
  const { world, receipt, answer } = await proving();
  const { handler: _, ...operations } = recoveries;
  const handler = apiHandler({ name: "api/recoveries", build: () => world, operations }, world.runtime);
  const shown = (id: string) => request(handler, "GET /recoveries/{id}/receipt", { id });
  expect((await shown("rcv_1")).body).toEqual({ ownerId: "rcv_1", proof: { state: "none" } });
  await answer({ receipt });
  expect((await shown("rcv_1")).body.proof).toMatchObject({ frozenFrom: FROZEN, signed: { receipt } });
  await world.store.recoveries.add(aRecovery({ id: "rcv_2" }));
  expect((await shown("rcv_2")).status).toBe(404);
});

test("an agent that does not sign can prove a copy, and leaves no receipt", async () => {
  const { kept, answer } = await proving();
  expect(await answer({})).toEqual({ outcome: "equal" });
  expect(await kept()).toBeUndefined();
});

test.each([
  ["of another recovery", { ownerId: "rcv_2" }, compared],
  ["of another recovery point", { pointId: "rp_2" }, compared],
  ["of another instant", { frozenFrom: "2029-12-31T22:00:00.000Z" }, compared],
  ["of other files of the source", { hashed: { ...hashed, list: "b".repeat(64) } }, compared],
  ["of another result", {}, { ...compared, bytes: 21 }],
])("a receipt %s is not kept, and makes the proof unknown", async (_, change, found) => {
  const { world, receipt, kept, answer } = await proving(change, found);
  expect(await answer({ receipt })).toEqual({ outcome: "unknown" });
  expect(await kept()).toBeUndefined();
  expect((await world.store.recoveries.get("rcv_1")).proof?.reason).toMatch(
    /ProofReceiptInvalidError.*another comparison/,
  );
});

test("a receipt that another key has signed proves nothing, but a difference that it tells of counts", async () => {
  const { world, receipt, answer } = await proving();
  const { certificatePem } = await createAgentKey();
  await world.store.agents.modify("agt_target", (one) => ({ ...one, certificatePem }));
  await expect(answer({ receipt, equal: 1, different: 1 })).rejects.toMatchObject({
    name: "CopyDiffersError",
  });
  const other = await proving();
  await other.world.store.agents.modify("agt_target", (one) => ({ ...one, certificatePem }));
  expect(await other.answer({ receipt: other.receipt })).toEqual({ outcome: "unknown" });
});
