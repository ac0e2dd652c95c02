import { describe, expect, test } from "vitest";
import { worstOf } from "./judgement.ts";
import { GRUB_CASES } from "./testing/grub-cases.ts";
import { follow } from "./testing/grub-config.ts";

describe("GRUB, without a person at its console,", () => {
  test.each(GRUB_CASES.map((each) => [each.name, each] as const))(
    "with %s",
    (_, { files, environment, starts, verdict }) => {
      const { against, entries } = follow(files, environment);
      expect(worstOf(against).verdict).toBe(verdict ?? (starts === undefined ? "attended" : "unattended"));
      if (starts !== undefined) expect(entries.map(({ id }) => id)).toEqual([starts]);
    },
  );
});
