/** Checks that the code stays tidy: `node scripts/tidy.ts`. Each rule is a file of `tidy/`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { commentWidthFindings } from "./tidy/comment-width.ts";
import { dependencyFindings } from "./tidy/dependency-rules.ts";
import { decisionListFindings, folderTableFindings, linkFindings, pathFindings } from "./tidy/documents.ts";
import { doubleNameFindings } from "./tidy/double-names.ts";
import { withoutExceptions } from "./tidy/exceptions.ts";
import { fileLengthFindings } from "./tidy/file-length.ts";
import { functionLengthFindings } from "./tidy/function-length.ts";
import { importCircleFindings } from "./tidy/import-circles.ts";
import { phraseFindings, phrasesOf } from "./tidy/phrases.ts";
import { type Finding, projectFiles, readSource } from "./tidy/source.ts";
import { testOnlyExportFindings } from "./tidy/test-only-exports.ts";
import { testSupportFindings } from "./tidy/test-support.ts";

const root = join(import.meta.dirname, "..");
process.chdir(root);
const read = (path: string) => readFileSync(path, "utf8");

const Exceptions = z.record(z.string(), z.record(z.string(), z.string().min(1)));
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
  "comment-width": sources.flatMap(commentWidthFindings),
  "function-length": sources.flatMap(functionLengthFindings),
  phrases: prose.flatMap((path) => phraseFindings(path, read(path), phrases)),
  documents: [decisionListFindings, folderTableFindings, linkFindings, pathFindings].flatMap((findingsOf) =>
    findingsOf({ files, read }),
  ),
};

const failures = Object.entries(findings).flatMap(([rule, found]) =>
  withoutExceptions(rule, found, exceptions[rule] ?? {}),
);
for (const line of failures) console.error(line);
process.exitCode = failures.length > 0 ? 1 : 0;
