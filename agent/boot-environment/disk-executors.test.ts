import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { executionContext } from "../commands/testing/execution-context.ts";
import { diskExecutors } from "./disk-executors.ts";

const fence = {
  ownerId: "cut_1",
  term: 1,
  isUp: true,
  lasting: true,
  mustBeUp: true,
  reason: "a machine runs in its place",
};
const hashing = { ownerId: "cut_1", pointId: "rp_1", disks: ["sda"], budgetSeconds: 60 };

test("a fence is left only when files are not being hashed any more, also if that fails", async () => {
  const order: string[] = [];
  const hashed = Promise.withResolvers<never>();
  const executors = diskExecutors({
    hashFiles: async () => {
      order.push("hash");
      return hashed.promise;
    },
    setFence: async ({ term, isUp }) => {
      order.push("fence");
      return { term, isUp, lasting: true, services: [] };
    },
  });
  const hash = executors["hash-files"](hashing, executionContext());
  const set = executors["set-fence"](fence, executionContext());
  await turn();
  expect(order).toEqual(["hash"]);
  hashed.reject(new Error("cancelled"));
  await expect(hash).rejects.toThrow("cancelled");
  await expect(set).resolves.toMatchObject({ isUp: true });
  expect(order).toEqual(["hash", "fence"]);
});
