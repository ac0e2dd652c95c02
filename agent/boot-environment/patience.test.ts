import { expect, test } from "vitest";
import { Patience } from "./patience.ts";

test("lasts while a command runs, however long, and for the limit after it", () => {
  const patience = new Patience(0, 600);
  expect(patience.at(599, { working: false })).toBe(true);
  expect(patience.at(599, { working: true })).toBe(true);
  expect(patience.at(90_000, { working: true })).toBe(true);
  expect(patience.at(90_599, { working: false })).toBe(true);
  expect(patience.at(90_600, { working: false })).toBe(false);
});

test("runs out where the control plane is heard and never has any work", () => {
  const patience = new Patience(1000, 600);
  expect(patience.at(1599, { working: false })).toBe(true);
  expect(patience.at(1600, { working: false })).toBe(false);
});
