import { expect, test } from "vitest";
import type { Inventory } from "../../protocol/inventory.ts";
import { AcceptableRule } from "../../protocol/rule-names.ts";
import { preflightFindings, preflightRules } from "../preflight.ts";
import { aBootImage, aConversion, anInventory, aSource, aTarget } from "../testing/records.ts";
import { untouchedWhereabouts } from "../whereabouts.ts";
import type { PreflightFacts } from "./rule.ts";

function facts(inventory: Partial<Inventory> = {}): PreflightFacts {
  return {
    conversion: aConversion({
      type: "remote-cold",
      bootImageId: aBootImage().id,
      whereabouts: untouchedWhereabouts("2030-01-01T00:00:00.000Z"),
    }),
    source: aSource({ heldBy: "cnv_1", inventory: anInventory(inventory) }),
    target: aTarget(),
    bootImage: aBootImage(),
  };
}

const JUDGED = ["starts-unattended", "starts-this-system", "opens-unattended", "starts-first", "memory"];
const outcomes = (given: PreflightFacts) =>
  preflightRules(given)
    .filter(({ id, outcome }) => JUDGED.includes(id) && outcome !== "pass")
    .map(({ id, outcome }) => `${outcome} ${id}`);

const attended = { verdict: "attended" as const, reason: "it asks", remedy: "Change it." };
const returning = (change: Partial<NonNullable<Inventory["return"]>>): Partial<Inventory> => {
  const unattended = { verdict: "unattended" as const };
  return {
    return: {
      bootLoader: unattended,
      nextStart: unattended,
      volumes: unattended,
      triedBefore: [],
      ...change,
    },
  };
};

test.each([
  ["a boot loader that waits", facts(returning({ bootLoader: attended })), ["fail starts-unattended"]],
  ["a passphrase at each start", facts(returning({ volumes: attended })), ["fail opens-unattended"]],
  [
    "another system at the next start",
    facts(returning({ nextStart: attended })),
    ["fail starts-this-system"],
  ],
  [
    "a return that is not known",
    facts(returning({ volumes: { verdict: "unknown" } })),
    ["fail opens-unattended"],
  ],
  ["a network card that is tried first", facts(returning({ triedBefore: ["PXE"] })), ["warn starts-first"]],
  [
    "an agent that does not report how its system starts",
    facts({ return: undefined }),
    ["fail starts-unattended", "fail starts-this-system", "fail opens-unattended"],
  ],
])("%s is found as it is", (_, given, expected) => {
  expect(outcomes(given)).toEqual(expected);
});

test("why the machine would not come back is shown in the agent's words", () => {
  const found = preflightFindings(facts(returning({ bootLoader: attended })));
  const finding = found.find(({ id }) => id === "starts-unattended");
  expect(finding?.message).toBe("it asks. Change it.");
  expect(finding?.remedy).toMatch(/hot.*by hand/);
});

test("an operator who accepts a rule passes that one, and is named; no other rule and no other conversion", () => {
  const given = facts(returning({ bootLoader: attended, volumes: attended }));
  const accepting = { ...given, conversion: { ...given.conversion, accept: ["starts-unattended" as const] } };
  expect(outcomes(accepting)).toEqual(["accepted starts-unattended", "fail opens-unattended"]);
  const judged = preflightFindings(accepting).filter(({ id }) => JUDGED.includes(id));
  expect(judged.map(({ id, severity, acceptedBy }) => [id, severity, acceptedBy])).toEqual([
    ["opens-unattended", "fail", undefined],
    ["starts-unattended", "warn", "ada"],
  ]);
});

test("a rule that holds is not shown as accepted", () => {
  const given = facts();
  const accepting = { ...given, conversion: { ...given.conversion, accept: ["starts-unattended" as const] } };
  expect(outcomes(accepting)).toEqual([]);
});

test("the rules that the API lets an operator accept are those that say so", () => {
  const types = ["hot", "remote-cold", "manual-cold"] as const;
  const all = types.flatMap((type) => preflightRules({ ...facts(), conversion: aConversion({ type }) }));
  const acceptable = new Set(all.filter(({ acceptable }) => acceptable).map(({ id }) => id));
  expect([...acceptable].sort()).toEqual([...AcceptableRule.options].sort());
});

test("a record that accepts a rule which may not be accepted passes nothing", () => {
  const given = facts({ memoryBytes: 1 });
  const accepting = { ...given, conversion: { ...given.conversion, accept: ["memory" as const] } };
  expect(outcomes(accepting)).toEqual(["fail memory"]);
});
