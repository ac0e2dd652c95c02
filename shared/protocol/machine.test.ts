import { expect, test } from "vitest";
import { Whereabouts, whereaboutsInWords } from "./machine.ts";

const since = "2030-01-01T00:00:00.000Z";

test("every location and boot state continue the sentence 'the machine is …'", () => {
  for (const location of Whereabouts.shape.location.options)
    for (const bootState of Whereabouts.shape.bootState.options)
      expect(whereaboutsInWords({ location, bootState, since })).toMatch(/^[a-z][^,]+, .+$/);
});

test("an unknown location says since when", () => {
  expect(whereaboutsInWords({ location: "unknown", bootState: "unconfirmed", since })).toBe(
    `not known: it has not reported since ${since}, boot state unconfirmed`,
  );
});
