import { afterAll, beforeAll, expect, test } from "vitest";
import { preflightRules } from "#shared/domain/preflight.ts";
import { aBootImage, aConversion, anInventory, aSource, aTarget } from "#shared/domain/testing/records.ts";
import { untouchedWhereabouts } from "#shared/domain/whereabouts.ts";
import { FakeApi } from "../testing/fake-api.ts";
import { recordedRun } from "../testing/recorded-run.ts";

const rules = preflightRules({
  conversion: aConversion({
    type: "remote-cold",
    bootImageId: aBootImage().id,
    whereabouts: untouchedWhereabouts("2030-01-01T00:00:00.000Z"),
  }),
  source: aSource({ heldBy: "cnv_1", inventory: anInventory({ return: undefined }) }),
  target: aTarget(),
  bootImage: aBootImage(),
});

let api: FakeApi;
beforeAll(async () => {
  api = await FakeApi.start(() => ({ ok: false, rules }));
});
afterAll(() => api.close());

const preflight = (...more: string[]) =>
  recordedRun(["preflight", "agt_source", "--type", "remote-cold", ...more], api.environment);

test("the table has a line for each rule, and the remedies of those that fail are below it", async () => {
  const { code, stdout, stderr } = await preflight();
  const lines = stdout.split("\n");
  expect(lines[0]).toMatch(/^OUTCOME {2}RULE +WHAT$/);
  for (const { id, outcome } of rules)
    expect(lines.filter((line) => line.startsWith(outcome) && line.includes(` ${id} `))).toHaveLength(1);
  const remedies = rules.filter(({ remedy }) => remedy).map(({ id }) => id);
  expect(remedies).toContain("starts-unattended");
  expect(lines.flatMap((line) => /^([a-z-]+): \w/.exec(line)?.[1] ?? [])).toEqual(remedies);
  expect(lines.at(-2)).toBe("This conversion would not start.");
  expect(code).not.toBe(0);
  const failing = rules.filter(({ outcome }) => outcome === "fail");
  expect(stderr).toContain(`${failing.length} rules failed`);
});

test("with --json it prints exactly the document that the API returned", async () => {
  const { stdout } = await preflight("--json");
  expect(JSON.parse(stdout)).toEqual({ ok: false, rules: JSON.parse(JSON.stringify(rules)) });
});
