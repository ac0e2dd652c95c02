import { expect, test } from "vitest";
import { aRecovery } from "#shared/domain/testing/records.ts";
import { interruptNthCall } from "../testing/interrupt-save.ts";
import { World } from "../testing/world.ts";
import { Input, run } from "./record-proof.ts";

test("a proof that was stored is noted with its point, also if the recovery was cancelled in between", async () => {
  const world = await World.start();
  await world.enrolled();
  const { id, pointId, sourceId } = await world.store.recoveries.add(aRecovery());
  await world.store.points.add({ id: pointId, sourceId, createdAt: "2029-12-31T23:00:00.000Z", disks: [] });
  const proof = Input.parse({
    ...{ ownerId: id, pointId },
    hashed: {
      ...{ list: "a".repeat(64), files: 2, bytes: 20, found: 3, foundAll: true, changed: 1, unreadable: 0 },
      ...{ leftOut: [], seconds: 1 },
    },
    compared: { equal: 2, bytes: 20, moved: 0, different: 0, differences: [], unopened: [], seconds: 1 },
  });
  interruptNthCall(world.store.points, "noteProof", 1);
  await expect(run(proof, world)).rejects.toThrow("killed");
  await world.store.recoveries.modify(id, (one) => ({ ...one, state: "cancelling" }));
  expect(await run(proof, world)).toEqual({ outcome: "equal" });
  expect((await world.store.points.get(pointId)).proved).toMatchObject({ ownerId: id, outcome: "equal" });
});
