import { expect, test } from "vitest";
import { MachineState, machineInWords } from "./machine.ts";

const since = "2030-01-01T00:00:00.000Z";

test("every state of a machine continues the sentence that begins with it", () => {
  for (const is of MachineState.shape.is.options)
    for (const bootState of MachineState.shape.bootState.options)
      expect(machineInWords({ is, bootState, since })).toMatch(/^[a-z][^,]+, .+$/);
});

test("of a machine that nobody knows about, it is told since when", () => {
  expect(machineInWords({ is: "unknown", bootState: "unconfirmed", since })).toBe(
    `not known: it was not heard since ${since}, boot state unconfirmed`,
  );
});
