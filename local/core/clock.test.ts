import { once } from "node:events";
import { MessageChannel } from "node:worker_threads";
import { expect, test } from "vitest";
import { systemClock } from "./clock.ts";

test("data that arrived before a time limit is handled before the limit, however long the process was blocked", async () => {
  const handled: string[] = [];
  const { port1, port2 } = new MessageChannel();
  port2.on("message", () => handled.push("answer"));
  await new Promise((resolve) => setImmediate(resolve));
  const limit = new Promise<void>((resolve) => {
    systemClock.schedule(20, () => {
      handled.push("limit");
      resolve();
    });
  });
  port1.postMessage("answer");
  holdUp(60);
  await limit;
  port1.close();
  await once(port2, "close");
  expect(handled).toEqual(["answer", "limit"]);
});

test("a time limit that data of its last moment cancelled does not run", async () => {
  let ran = false;
  const { port1, port2 } = new MessageChannel();
  const limit = systemClock.schedule(20, () => {
    ran = true;
  });
  const handled = new Promise<void>((resolve) => {
    port2.on("message", () => {
      limit.cancel();
      resolve();
    });
  });
  await new Promise((resolve) => setImmediate(resolve));
  port1.postMessage("answer");
  holdUp(60);
  await handled;
  await new Promise((resolve) => setTimeout(resolve, 5));
  port1.close();
  expect(ran).toBe(false);
});

/** Blocks the process as a synchronous write to a busy disk does. */
function holdUp(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
