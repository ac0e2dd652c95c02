import { duplexPair } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { QmpClient, type QmpEvent } from "./qmp.ts";

function connected() {
  const [ours, theirs] = duplexPair();
  const events: QmpEvent[] = [];
  return { client: new QmpClient(ours, (event) => events.push(event)), ours, theirs, events };
}

test("a command that is never answered fails within its limit", async () => {
  const { client } = connected();
  await expect(client.execute("quit", {}, 20)).rejects.toThrow("did not answer quit within 0.02 s");
});

test("an answer reaches its command, and events their reader, wherever the lines are split", async () => {
  const { client, theirs, events } = connected();
  const answer = client.execute("query-status");
  for (const piece of ['{"QMP": {}}\n{"eve', 'nt": "RESET"}\n{"return": {"a":', ' 1}, "id": 1}\n'])
    theirs.write(piece);
  expect(await answer).toEqual({ a: 1 });
  expect(events).toEqual([{ event: "RESET", data: {} }]);
});

test("a line without an end closes the monitor instead of filling the memory", async () => {
  const { client, ours, theirs } = connected();
  const answer = expect(client.execute("query-status")).rejects.toMatchObject({ name: "QmpError" });
  while (!ours.destroyed && theirs.write(Buffer.alloc(65_536, "x")) !== undefined)
    await new Promise(setImmediate);
  await answer;
});

test("whatever the monitor sends, commands end and nothing is thrown at the reader", async () => {
  const line = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({ return: fc.jsonValue(), id: fc.constantFrom(1, 2, "1") })
      .map((value) => JSON.stringify(value)),
    fc.record({ event: fc.jsonValue(), data: fc.jsonValue() }).map((value) => JSON.stringify(value)),
    fc.record({ error: fc.jsonValue(), id: fc.constant(1) }).map((value) => JSON.stringify(value)),
  );
  const property = fc.asyncProperty(fc.array(line), async (lines) => {
    const { client, theirs } = connected();
    const settled = client.execute("query-status", {}, 1000).then(
      () => "answered",
      (error: Error) => error.name,
    );
    theirs.end(lines.map((text) => `${text}\n`).join(""));
    expect(["answered", "QmpError"]).toContain(await settled);
  });
  await fc.assert(property);
});
