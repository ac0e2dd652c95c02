/**
 * Checks that the code stays tidy: `node scripts/tidy.ts`. Each rule is a file of `tidy/`. Findings that are
 * older than their rule are counted in `tidy/baseline.json`; `--update-baseline` records lower counts, and
 * never higher ones.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { commentWidthFindings } from "./tidy/comment-width.ts";
import { dependencyFindings } from "./tidy/dependency-rules.ts";
import { decisionListFindings, folderTableFindings, linkFindings, pathFindings } from "./tidy/documents.ts";
import { doubleNameFindings } from "./tidy/double-names.ts";
import { sum, withinAllowances, withoutExceptions } from "./tidy/exceptions.ts";
import { fileLengthFindings } from "./tidy/file-length.ts";
import { functionLengthFindings } from "./tidy/function-length.ts";
import { importCircleFindings } from "./tidy/import-circles.ts";
import { phraseFindings, phrasesOf } from "./tidy/phrases.ts";
import { type Finding, projectFiles, readSource } from "./tidy/source.ts";
import { testOnlyExportFindings } from "./tidy/test-only-exports.ts";
import { testSupportFindings } from "./tidy/test-support.ts";

const root = join(import.meta.dirname, "..");
process.chdir(root);
const baselinePath = "scripts/tidy/baseline.json";
const read = (path: string) => readFileSync(path, "utf8");

const Baseline = z.record(z.string(), z.record(z.string(), z.int().positive()));
const Exceptions = z.record(z.string(), z.record(z.string(), z.string().min(1)));
const baseline = Baseline.parse(JSON.parse(read(baselinePath)));
const exceptions = Exceptions.parse(JSON.parse(read("scripts/tidy/exceptions.json")));

const files = projectFiles(root);
const sources = files.filter((path) => /\.(ts|mjs)$/.test(path)).map((path) => readSource(root, path));

/** The style guide, the test of its rule and the changelog of released versions quote the phrases. */
const MAY_QUOTE = ["docs/style.md", "scripts/tidy/phrases.test.ts", "CHANGELOG.md"];
const phrases = phrasesOf(read("docs/style.md"));
const prose = files.filter(
  (path) =>
    /\.(ts|mjs|md|asl\.json)$/.test(path) && !MAY_QUOTE.includes(path) && !path.includes("/recorded/"),
);

/** By rule: findings that are not allowed, except for those that `exceptions.json` names with a reason. */
const findings: Record<string, Finding[]> = {
  "dependency-rules": sources.flatMap(dependencyFindings),
  "file-length": sources.flatMap(fileLengthFindings),
  "import-circles": importCircleFindings(sources),
  "test-support": sources.flatMap(testSupportFindings),
  "double-names": doubleNameFindings(sources),
  "test-only-exports": testOnlyExportFindings(sources),
  documents: [decisionListFindings, folderTableFindings, linkFindings, pathFindings].flatMap((findingsOf) =>
    findingsOf({ files, read }),
  ),
};

/** By rule: findings that `baseline.json` counts. */
const counted: Record<string, Finding[]> = {
  "comment-width": sources.flatMap(commentWidthFindings),
  "function-length": sources.flatMap(functionLengthFindings),
  phrases: prose.flatMap((path) => phraseFindings(path, read(path), phrases)),
};

const failures = Object.entries(findings).flatMap(([rule, found]) =>
  withoutExceptions(rule, found, exceptions[rule] ?? {}),
);
const outcomes = Object.entries(counted).map(([rule, found]) => ({
  rule,
  known: sum(baseline[rule] ?? {}),
  ...withinAllowances(rule, found, baseline[rule] ?? {}, existsSync),
}));
failures.push(...outcomes.flatMap((outcome) => outcome.failures));

if (process.argv.includes("--update-baseline")) {
  const next = Object.fromEntries(outcomes.map(({ rule, needed }) => [rule, needed]));
  writeFileSync(baselinePath, `${JSON.stringify(next, undefined, 2)}\n`);
}
for (const line of failures) console.error(line);
for (const { rule, known, needed } of outcomes) {
  const fewer = known - sum(needed);
  if (fewer > 0) console.log(`${rule}: ${fewer} fewer than known; --update-baseline records that`);
}
process.exitCode = failures.length > 0 ? 1 : 0;
