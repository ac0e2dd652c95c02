import { expect, test } from "vitest";
import * as z from "zod";
import { inWords } from "./problem-words.ts";

const problem = (schema: z.ZodType, value: unknown) =>
  schema.safeParse(value, { error: inWords }).error?.issues[0]?.message;

test.each([
  [z.int().min(90), 10, "at least 90"],
  [z.int().max(7200), 9000, "at most 7200"],
  [z.int().positive(), 0, "more than 0"],
  [z.string().min(1), "", "at least 1 character"],
  [z.array(z.string()).max(2), ["a", "b", "c"], "at most 2 entries"],
  [z.enum(["bios", "uefi"]), "efi", "one of bios, uefi"],
  [z.string(), undefined, "missing"],
  [z.int(), 1.5, "a whole number"],
  [z.boolean(), "yes", "true or false"],
  [z.int().min(60, "1 minute or more"), 30, "1 minute or more"],
])("%#: what %j must be is said plainly: %s", (schema, value, words) => {
  expect(problem(schema, value)).toBe(words);
});

test("a problem without words of ours has those of the schema's library", () => {
  expect(problem(z.strictObject({}), { colour: 1 })).toContain("colour");
});
