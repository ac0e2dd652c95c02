import { type Finding, isProduct, isTest, type Source } from "./source.ts";

/**
 * Exports of the product that their own file does not use and that only tests import. An export without any
 * import counts, too, unless something outside TypeScript starts it.
 */
export function testOnlyExportFindings(sources: readonly Source[]): Finding[] {
  const used = new Set<string>();
  for (const { path, imports } of sources) {
    if (isTest(path)) continue;
    for (const { from, names } of imports) for (const name of names) used.add(`${from}#${name}`);
  }
  return sources
    .filter(({ path }) => isProduct(path))
    .flatMap(({ path, text, exports }) =>
      exports
        .filter((name) => !used.has(`${path}#${name}`) && !used.has(`${path}#*`))
        .filter((name) => !isStartedFromOutside(path, name) && timesNamed(text, name) < 2)
        .map((name) => ({
          path,
          key: `${path}#${name}`,
          message: `exports ${name}, which no code but tests uses; remove it, or move it to testing/`,
        })),
    );
}

/** A Lambda function's handler: the templates name it. */
function isStartedFromOutside(path: string, name: string): boolean {
  return path.startsWith("functions/") && name === "handler";
}

function timesNamed(text: string, name: string): number {
  const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  return [...code.matchAll(/[\w$]+/g)].filter(([word]) => word === name).length;
}
