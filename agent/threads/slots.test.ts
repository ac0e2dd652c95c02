import { expect, test } from "vitest";
import { Slots } from "./slots.ts";

test("each task goes to the worker that has the fewest tasks", () => {
  const slots = new Slots({ slots: 4, workers: 3 });
  expect([slots.assign(), slots.assign(), slots.assign(), slots.assign()]).toEqual([0, 1, 2, 0]);
  slots.done(2);
  expect(slots.assign()).toBe(2);
  slots.done(0);
  slots.done(0);
  expect([slots.assign(), slots.assign()]).toEqual([0, 0]);
});

test("some workers can be left out", () => {
  const slots = new Slots({ slots: 4, workers: 3 });
  expect([slots.assign(1), slots.assign(1), slots.assign(2), slots.assign()]).toEqual([0, 0, 1, 2]);
});

test("a slot has one holder at a time, and all are taken only when all are free", async () => {
  const slots = new Slots({ slots: 2, workers: 1 });
  expect([await slots.take(), await slots.take()]).toEqual([0, 1]);
  const events: string[] = [];
  const all = slots.takeAll().then(() => events.push("all"));
  slots.give(1);
  await new Promise(setImmediate);
  events.push("one is free");
  slots.give(0);
  await all;
  expect(events).toEqual(["one is free", "all"]);
});
