import { test } from "vitest";
import { expectColdClone } from "../testing/demo-run.ts";

test("a real machine with a BIOS is cold cloned remotely: it comes back as it was, and its clone is right and boots", () => {
  expectColdClone("bios");
});
