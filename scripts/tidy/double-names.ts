import { type Finding, isProduct, type Source } from "./source.ts";

/** Names that every file of a kind exports, so that the program that loads the file finds it. */
const CONVENTIONS = [{ folder: "functions/", names: ["handler", "run", "Input"] }];

/**
 * Names that two files of the product define and export. The embedded cloud may reuse the product's names.
 */
export function doubleNameFindings(sources: readonly Source[]): Finding[] {
  const definedIn = new Map<string, string[]>();
  for (const { path, exports } of sources) {
    if (!isProduct(path) || path.startsWith("local/")) continue;
    const known = CONVENTIONS.filter(({ folder }) => path.startsWith(folder)).flatMap(({ names }) => names);
    for (const name of exports.filter((name) => !known.includes(name)))
      definedIn.set(name, [...(definedIn.get(name) ?? []), path]);
  }
  return [...definedIn]
    .filter(([, paths]) => paths.length > 1)
    .map(([name, [path = "", ...others]]) => ({
      path,
      key: name,
      message: `defines ${name}, as does ${others.join(" and ")}; give one of them another name`,
    }));
}
