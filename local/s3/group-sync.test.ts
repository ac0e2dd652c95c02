import { expect, test } from "vitest";
import { GroupSync } from "./group-sync.ts";

/** A flush whose end the test decides, one call after the other. */
function controlled() {
  const ends: PromiseWithResolvers<void>[] = [];
  const group = new GroupSync(() => {
    const end = Promise.withResolvers<void>();
    ends.push(end);
    return end.promise;
  });
  return { group, ends };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("callers that arrive during a flush share the next one, because the running one may have missed their writes", async () => {
  const { group, ends } = controlled();
  const first = group.run();
  let later = 0;
  const waiting = [1, 2, 3].map(() => group.run().then(() => later++));
  ends[0]?.resolve();
  await first;
  await turn();
  expect([ends.length, later]).toEqual([2, 0]);
  ends[1]?.resolve();
  await Promise.all(waiting);
  expect([ends.length, later]).toEqual([2, 3]);
});

test("a failed flush fails only the callers that waited for it", async () => {
  const { group, ends } = controlled();
  const first = group.run();
  const second = group.run();
  ends[0]?.reject(new Error("disk"));
  await expect(first).rejects.toThrow("disk");
  await turn();
  ends[1]?.resolve();
  await expect(second).resolves.toBeUndefined();
});
