import { once } from "node:events";
import { MessageChannel } from "node:worker_threads";
import { expect, test } from "vitest";
import { systemClock } from "./clock.ts";

test("what arrived before a time limit is heard before the limit, however long the process was held up", async () => {
  const heard: string[] = [];
  const { port1, port2 } = new MessageChannel();
  port2.on("message", () => heard.push("answer"));
  await new Promise((resolve) => setImmediate(resolve));
  const limit = new Promise<void>((resolve) => {
    systemClock.schedule(20, () => {
      heard.push("limit");
      resolve();
    });
  });
  port1.postMessage("answer");
  holdUp(60);
  await limit;
  port1.close();
  await once(port2, "close");
  expect(heard).toEqual(["answer", "limit"]);
});

test("a time limit that was cancelled by what was heard in its last moment does not run", async () => {
  let ran = false;
  const { port1, port2 } = new MessageChannel();
  const limit = systemClock.schedule(20, () => {
    ran = true;
  });
  const heard = new Promise<void>((resolve) => {
    port2.on("message", () => {
      limit.cancel();
      resolve();
    });
  });
  await new Promise((resolve) => setImmediate(resolve));
  port1.postMessage("answer");
  holdUp(60);
  await heard;
  await new Promise((resolve) => setTimeout(resolve, 5));
  port1.close();
  expect(ran).toBe(false);
});

/** As a synchronous write to a busy disk does. */
function holdUp(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
