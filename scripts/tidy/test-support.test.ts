import { expect, test } from "vitest";
import { parseSource } from "./source.ts";
import { testSupportFindings } from "./test-support.ts";

const count = (path: string, text = "") => testSupportFindings(parseSource(path, text)).length;

test("a file that is named as test support, or says so, belongs in testing/", () => {
  expect(count("local/s3/test-world.ts")).toBe(1);
  expect(count("agent/x/fake.ts")).toBe(1);
  expect(count("agent/x/clock.ts", "/** For tests: a clock that is moved by hand. */")).toBe(1);
  expect(count("agent/x/testing/fake.ts")).toBe(0);
  expect(count("agent/boot-loaders/attest.ts")).toBe(0);
  expect(count("agent/x/latest.ts")).toBe(0);
});

test("the product imports neither test support nor the test runner", () => {
  expect(count("agent/x/a.ts", 'import { b } from "./testing/b.ts";')).toBe(1);
  expect(count("e2e/machines/a.ts", 'import type { Site } from "../testing/site.ts";')).toBe(1);
  expect(count("agent/x/a.ts", 'import { vi } from "vitest";')).toBe(1);
  expect(count("agent/x/a.test.ts", 'import { b } from "./testing/b.ts";')).toBe(0);
});
