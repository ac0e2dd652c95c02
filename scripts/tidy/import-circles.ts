import type { Finding, Source } from "./source.ts";

/** Files that import each other, directly or through others; an import of a type counts. */
export function importCircleFindings(sources: readonly Source[]): Finding[] {
  const importsOf = new Map(sources.map(({ path, imports }) => [path, imports.map(({ from }) => from)]));
  const done = new Set<string>();
  const found: Finding[] = [];
  const walk = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) {
      const circle = [...trail.slice(at), path];
      found.push({ path, message: `imports itself: ${circle.join(" -> ")}` });
      return;
    }
    if (done.has(path)) return;
    for (const next of importsOf.get(path) ?? []) walk(next, [...trail, path]);
    done.add(path);
  };
  for (const { path } of sources) walk(path, []);
  return found;
}
