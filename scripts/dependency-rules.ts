/** Which folder may import which: the architecture, checked. `node scripts/dependency-rules.ts` lists what breaks it. */
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

export interface Rule {
  /** A file path from the root begins with this. */
  from: string;
  /** What it may not import: path prefixes from the root, `npm:` packages, or `node:` modules. */
  mayNot: string[];
  /** What it may import all the same: path prefixes. */
  but?: string[];
  why: string;
}

export const rules: Rule[] = [
  {
    from: "shared/domain/",
    mayNot: [
      "agent/",
      "cli/",
      "functions/",
      "infra/",
      "local/",
      "npm:@aws-sdk/",
      "npm:@smithy/",
      "node:fs",
      "node:net",
      "node:http",
      "node:child_process",
      "node:sqlite",
    ],
    why: "decisions do no IO",
  },
  {
    from: "shared/format/",
    mayNot: [
      "agent/",
      "cli/",
      "functions/",
      "infra/",
      "local/",
      "npm:@aws-sdk/",
      "npm:@smithy/",
      "node:fs",
      "node:net",
      "node:http",
      "node:child_process",
      "node:sqlite",
    ],
    why: "the format is bytes, not IO",
  },
  {
    from: "shared/",
    mayNot: ["agent/", "cli/", "functions/", "infra/", "local/"],
    why: "what is shared depends on nobody",
  },
  {
    from: "functions/",
    mayNot: ["agent/", "cli/", "infra/", "local/"],
    why: "functions and agent meet only in shared",
  },
  {
    from: "agent/",
    mayNot: ["functions/", "cli/", "infra/", "local/"],
    why: "functions and agent meet only in shared",
  },
  {
    from: "infra/",
    mayNot: ["functions/", "agent/", "cli/", "local/"],
    why: "infra declares; it never imports what it deploys",
  },
  {
    from: "local/",
    mayNot: ["functions/", "agent/", "cli/", "infra/", "shared/"],
    // How any program keeps a folder: it knows neither AWS nor Causeway.
    but: ["shared/data-folder/"],
    why: "the embedded cloud knows AWS, not Causeway",
  },
  { from: "statemachines/", mayNot: ["agent/", "cli/", "infra/"], why: "workflows are data" },
];

const IMPORT = /(?:\bfrom\s+|\bimport\s*\(\s*|^\s*import\s+)"([^"]+)"/gm;

/** The paths and packages that a source text imports, as `mayNot` names them. */
export function importsOf(path: string, text: string): string[] {
  return [...text.matchAll(IMPORT)].flatMap(([, specifier]) => {
    if (specifier === undefined) return [];
    if (specifier.startsWith("#")) return [specifier.slice(1)];
    if (specifier.startsWith(".")) return [relative(".", resolve(dirname(path), specifier))];
    return [specifier.startsWith("node:") ? specifier : `npm:${specifier}`];
  });
}

/** One line for each import that a rule forbids. Tests may reach for whatever they put together. */
export function violations(path: string, text: string): string[] {
  if (/\.test\.ts$/.test(path) || path.includes("/testing/")) return [];
  const imports = importsOf(path, text);
  return rules
    .filter((rule) => path.startsWith(rule.from))
    .flatMap((rule) =>
      imports
        .filter((name) => rule.mayNot.some((prefix) => name.startsWith(prefix)))
        .filter((name) => !rule.but?.some((prefix) => name.startsWith(prefix)))
        .map((name) => `${path} imports ${name}: ${rule.why}`),
    );
}

if (import.meta.main) {
  const root = join(import.meta.dirname, "..");
  process.chdir(root);
  const files = globSync("{agent,bench,cli,functions,infra,local,shared,statemachines}/**/*.ts");
  const found = files.flatMap((path) => violations(path, readFileSync(path, "utf8")));
  for (const line of found) console.error(line);
  process.exitCode = found.length > 0 ? 1 : 0;
}
