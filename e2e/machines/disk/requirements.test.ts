import { expect, test } from "vitest";
import { requireDiskBuilder } from "./requirements.ts";

test("without root and without its programs the error names both remedies", () => {
  expect(() => requireDiskBuilder(1000, ["/nowhere"])).toThrow(
    /apt-get install debootstrap gdisk .*; run it as root/,
  );
});
