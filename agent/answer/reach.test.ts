import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { connectionRefusal } from "./connection.ts";
import { checkedLookup, reachWithout } from "./reach.ts";
import { loopbackReach } from "./testing/loopback-reach.ts";

test("a name whose lookup takes longer than an attempt has one lookup at a time, and a later attempt gets its result", async () => {
  const listener = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  onTestFinished(() => void listener.close());
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const asked: string[] = [];
  let answer = () => {};
  const lookup = checkedLookup(
    () => undefined,
    (name, done) => {
      asked.push(name);
      answer = () => done(null, [{ address: "127.0.0.1", family: 4 }]);
    },
  );
  const attempt = (host: string, connectLimitMs: number) =>
    connectionRefusal({ host, port }, loopbackReach({ lookup, connectLimitMs }));
  for (const _ of ["first", "second"]) expect(await attempt("slow.example", 20)).toBe("no answer");
  const third = attempt("slow.example", 5000);
  answer();
  expect(await third).toBeUndefined();
  expect(asked).toEqual(["slow.example"]);
  for (const host of ["slow.example", "other.example"]) await attempt(host, 20);
  expect(asked).toEqual(["slow.example", "slow.example", "other.example"]);
});

test("what answers at an address that the machine gave up is not the machine, by whichever name", async () => {
  const listener = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  onTestFinished(() => void listener.close());
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const lookup = checkedLookup(
    () => undefined,
    (name, done) => done(null, [{ address: name === "old.example" ? "127.0.0.1" : "127.0.0.9", family: 4 }]),
  );
  const moved = reachWithout(["127.0.0.1"], loopbackReach({ lookup }));
  for (const host of ["127.0.0.1", "old.example"])
    expect(await connectionRefusal({ host, port }, moved)).toContain("127.0.0.1 is its source's address");
  expect(await connectionRefusal({ host: "new.example", port }, moved)).toBe("ECONNREFUSED");
  expect(await connectionRefusal({ host: "old.example", port }, loopbackReach({ lookup }))).toBeUndefined();
});
