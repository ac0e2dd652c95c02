import { type Finding, isTest, type Source } from "./source.ts";

const TEST_NAME = /(^|[-/])(test|tests|fake|mock|stub|fixture|fixtures)(-[^/]*)?\.ts$/;
/** The programs that run and check tests, and the bench, which sets up its measurements like a test. */
const MAY_USE_TESTS = ["scripts/", "bench/", "vitest.config.ts"];

/** Code for tests outside of `testing/`, and product code that imports test code. */
export function testSupportFindings({ path, text, imports }: Source): Finding[] {
  if (isTest(path) || MAY_USE_TESTS.some((prefix) => path.startsWith(prefix))) return [];
  const found: Finding[] = [];
  const support = imports.find(({ from }) => isTest(from) || from.startsWith("npm:vitest"));
  if (support) found.push({ path, message: `imports ${support.from}, which is for tests` });
  if (TEST_NAME.test(path)) found.push({ path, message: "is named as test support; move it to testing/" });
  else if (/^\s*\/\*\*\s*For tests\b/.test(text)) {
    found.push({ path, message: "says that it is for tests; move it to testing/" });
  }
  return found;
}
