/** Lists and links in documents must match the tree. */
import { posix } from "node:path";
import { type Finding, lineAt } from "./source.ts";

/** Paths of the project's files, and a way to read them. */
export interface Tree {
  files: readonly string[];
  read(path: string): string;
}

const DECISIONS = "docs/decisions/README.md";
const ARCHITECTURE = "docs/architecture.md";
/** The heading above each table of folders in docs/architecture.md, and the folder whose parts it lists. */
const FOLDER_TABLES = [
  { heading: "## Folders", folder: "" },
  { heading: "### The agent's folders", folder: "agent/" },
  { heading: "### The functions' folders", folder: "functions/" },
];
/** Folders without code, and folders of tools. */
const NOT_LISTED = /^(\..*|changelog|testing)$/;

/** docs/decisions/README.md lists every decision, in order, with the title that the decision has. */
export function decisionListFindings({ files, read }: Tree): Finding[] {
  const wanted = files
    .filter((path) => /^docs\/decisions\/\d{4}-.*\.md$/.test(path))
    .map((path) => {
      const [, number, title] = /^# (\d+)\. (.+)$/m.exec(read(path)) ?? [];
      return `- [${number}. ${title}](${posix.basename(path)})`;
    });
  const listed = read(DECISIONS)
    .split("\n")
    .filter((line) => line.startsWith("- ["));
  if (listed.join("\n") === wanted.join("\n")) return [];
  const line = wanted.find((each, index) => listed[index] !== each) ?? `nothing after ${wanted.at(-1)}`;
  return [{ path: DECISIONS, message: `does not list the decisions as they are; expected: ${line}` }];
}

/** The tables of docs/architecture.md name each folder once. */
export function folderTableFindings({ files, read }: Tree): Finding[] {
  const text = read(ARCHITECTURE);
  return FOLDER_TABLES.flatMap(({ heading, folder }) => {
    const section = text.split(`\n${heading}\n`)[1]?.split(/\n##/)[0] ?? "";
    const rows = [...section.matchAll(/^\| `([^`]+)\/` \|/gm)].map(([, name = ""]) => name).sort();
    const folders = files.flatMap((path) => {
      const [name, ...rest] = path.startsWith(folder) ? path.slice(folder.length).split("/") : [];
      return name !== undefined && rest.length > 0 && !NOT_LISTED.test(name) ? [name] : [];
    });
    const wanted = [...new Set(folders)].sort();
    const missing = wanted.filter((name) => !rows.includes(name));
    const tooMany = rows.filter((name, index) => !wanted.includes(name) || rows.indexOf(name) !== index);
    return [
      ...missing.map((name) => ({ path: ARCHITECTURE, message: `"${heading}" has no row for \`${name}/\`` })),
      ...tooMany.map((name) => ({
        path: ARCHITECTURE,
        message: `"${heading}" has a row too many: \`${name}/\``,
      })),
    ];
  });
}

/** Links from one document to another, or to a folder, lead somewhere. */
export function linkFindings({ files, read }: Tree): Finding[] {
  return files
    .filter((path) => path.endsWith(".md"))
    .flatMap((path) => {
      const text = read(path);
      return [...text.matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)/g)].flatMap((match) => {
        const target = posix.join(posix.dirname(path), match[1] ?? "");
        if (exists(files, target)) return [];
        return [
          { path, line: lineAt(text, match.index), message: `links to ${target}, which does not exist` },
        ];
      });
    });
}

/** Paths in backticks that start at the root, in the documents that say where to change what. */
export function pathFindings({ files, read }: Tree): Finding[] {
  const rooms = new Set(files.flatMap((path) => (path.includes("/") ? [path.split("/")[0]] : [])));
  return files
    .filter((path) => ["CONTRIBUTING.md", "SECURITY.md", ARCHITECTURE, "docs/style.md"].includes(path))
    .flatMap((path) => {
      const text = read(path);
      return [...text.matchAll(/`([\w.-]+\/[\w./-]*)`/g)].flatMap((match) => {
        const [, target = ""] = match;
        if (!rooms.has(target.split("/")[0]) || exists(files, target)) return [];
        return [{ path, line: lineAt(text, match.index), message: `names ${target}, which does not exist` }];
      });
    });
}

function exists(files: readonly string[], path: string): boolean {
  const folder = path.endsWith("/") ? path : `${path}/`;
  return (
    files.includes(path) || files.includes(`${path}.ts`) || files.some((file) => file.startsWith(folder))
  );
}
