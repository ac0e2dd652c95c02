/** The project's files, parsed once for all rules. */
import { spawnSync } from "node:child_process";
import { globSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { type ParseResult, parseSync } from "rolldown/utils";

export interface Import {
  /** A path from the project's root, `npm:<package>`, or `node:<module>`. */
  from: string;
  /** The imported names; `*` for a whole module, `default` for the default export. */
  names: string[];
}

export interface Source {
  /** From the project's root. */
  path: string;
  text: string;
  /** Imports, including types, dynamic imports and re-exports. */
  imports: Import[];
  /** Names that the file defines and exports, without re-exports. */
  exports: string[];
  program: ParseResult["program"];
  /** The offsets of comments in `text`. */
  comments: { start: number; end: number }[];
}

/** A rule's complaint about one place. */
export interface Finding {
  path: string;
  /** Starts at 1; absent for a finding about the whole file. */
  line?: number;
  message: string;
  /** The name of an exception in `exceptions.json`, for rules that allow exceptions. */
  key?: string;
}

/** Tests and what only tests use. */
export function isTest(path: string): boolean {
  return /\.test\.ts$/.test(path) || path.includes("/testing/") || path.startsWith("e2e/tests/");
}

export const PRODUCT_ROOMS: readonly string[] = ["agent", "cli", "functions", "infra", "local", "shared"];

/** Whether the code ships or runs in the cloud: no tests, bench, demo or scripts. */
export function isProduct(path: string): boolean {
  return PRODUCT_ROOMS.some((room) => path.startsWith(`${room}/`)) && !isTest(path);
}

export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

export function parseSource(path: string, text: string): Source {
  const { module, program, comments, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  const importsOf = new Map<string, Set<string>>();
  const add = (specifier: string, ...names: string[]) => {
    const from = resolveSpecifier(path, specifier);
    const known = importsOf.get(from) ?? new Set();
    for (const name of names) known.add(name);
    importsOf.set(from, known);
  };
  for (const { moduleRequest, entries } of module.staticImports) {
    add(moduleRequest.value);
    for (const { importName } of entries) {
      add(moduleRequest.value, importName.name ?? (importName.kind === "Default" ? "default" : "*"));
    }
  }
  for (const { moduleRequest } of module.dynamicImports) {
    const specifier = text.slice(moduleRequest.start + 1, moduleRequest.end - 1);
    if (/^["'`]/.test(text.slice(moduleRequest.start))) add(specifier, "*");
  }
  // `import("./x.ts").Name` in a type is in no module record.
  for (const [, specifier, name] of text.matchAll(/\bimport\("([^"]+)"\)\.(\w+)/g)) {
    if (specifier !== undefined && name !== undefined) add(specifier, name);
  }
  const localNames = new Set(
    module.staticImports.flatMap(({ entries }) => entries.map(({ localName }) => localName.value)),
  );
  const exports = new Set<string>();
  for (const { entries } of module.staticExports) {
    for (const { moduleRequest, importName, localName, exportName } of entries) {
      if (moduleRequest !== null) add(moduleRequest.value, importName.name ?? "*");
      else if (exportName.name !== null && !localNames.has(localName.name ?? ""))
        exports.add(exportName.name);
    }
  }
  const imports = [...importsOf].map(([from, names]) => ({ from, names: [...names] }));
  return { path, text, imports, exports: [...exports], program, comments };
}

function resolveSpecifier(path: string, specifier: string): string {
  if (specifier.startsWith("#")) return specifier.slice(1);
  if (specifier.startsWith(".")) return relative(".", resolve(dirname(path), specifier));
  return specifier.startsWith("node:") ? specifier : `npm:${specifier}`;
}

/** Paths of the project's files: what git tracks and would add, or all files of a copy without git. */
export function projectFiles(root: string): string[] {
  const { status, stdout } = spawnSync(
    "git",
    ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    {
      cwd: root,
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  const paths = status === 0 ? stdout.split("\0") : filesBelow(root);
  const files = paths.filter((path) => statSync(join(root, path), { throwIfNoEntry: false })?.isFile());
  return [...new Set(files)].sort();
}

const NOT_OURS = ["node_modules", "cdk.out", ".git", ".cache", "coverage"];

function filesBelow(root: string): string[] {
  return globSync("**", { cwd: root, exclude: (name) => NOT_OURS.includes(basename(name)) });
}

export function readSource(root: string, path: string): Source {
  return parseSource(path, readFileSync(join(root, path), "utf8"));
}
