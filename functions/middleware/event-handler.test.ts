import { expect, test } from "vitest";
import { ConcurrentChangeError, InvalidInputError } from "#shared/errors.ts";
import { World } from "../testing/world.ts";
import { eventHandler } from "./event-handler.ts";

async function handle(error: Error) {
  const world = await World.start();
  const handler = eventHandler(
    { name: "ingest/agent-events", build: () => ({}), run: () => Promise.reject(error) },
    world.runtime,
  );
  const run = () => handler({}, { getRemainingTimeInMillis: () => 10_000 } as never);
  return { run, logged: () => world.logged.map(({ message }) => message) };
}

test.each<[string, Error]>([
  ["input that is not valid", new InvalidInputError([{ path: "x", message: "is wrong" }])],
  ["an item over the table's limits", Object.assign(new Error("too large"), { name: "ValidationException" })],
  ["a structure deeper than the stack", new RangeError("Maximum call stack size exceeded")],
])("%s fails the same way each time, so Lambda does not retry", async (_, error) => {
  const { run, logged } = await handle(error);
  await expect(run()).resolves.toBeUndefined();
  expect(logged()).toEqual(["event dropped"]);
});

test.each<[string, Error]>([
  ["a race that was lost too many times", new ConcurrentChangeError("command", "cnv_1.verify.1")],
  ["a service that is slow", Object.assign(new Error("slow down"), { name: "ThrottlingException" })],
])("%s is temporary, so Lambda retries", async (_, error) => {
  const { run } = await handle(error);
  await expect(run()).rejects.toBe(error);
});
