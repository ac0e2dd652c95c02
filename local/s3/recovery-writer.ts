/**
 * For recovery.test.ts: puts objects, four at a time and named by their hash, until it is killed. Sends each
 * key once answered.
 */
import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { ManualClock } from "../core/clock.ts";
import { openS3 } from "./s3.ts";

const { service } = await openS3({
  folder: process.argv[2] ?? "",
  clock: new ManualClock(),
  authorizer: { authorize: () => undefined },
  keys: { authorizeKeyUse: () => undefined },
  report: (error) => {
    throw error;
  },
});

async function putForever(): Promise<void> {
  for (;;) {
    const body = randomBytes(50_000);
    const hash = createHash("sha256").update(body).digest("hex");
    const key = `objects/${hash}`;
    await service.handle({
      caller: { kind: "service", service: "tests.amazonaws.com", sourceArn: "" },
      method: "PUT",
      path: `/crash/${key}`,
      query: new URLSearchParams(),
      headers: { "content-length": String(body.length) },
      body: Readable.from([body]),
      readBody: () => Promise.reject(new Error("not read here")),
      signature: { seed: "", key: Buffer.alloc(0), scope: "", date: "", payloadHash: hash },
    });
    process.send?.(key);
  }
}

await Promise.all([putForever(), putForever(), putForever(), putForever()]);
