import { AssemblyError } from "./assembly-error.ts";

/** Sorts ids so that each follows its dependencies. Ignores dependencies outside `ids`. Throws on a cycle. */
export function inDependencyOrder(
  ids: readonly string[],
  dependenciesOf: (id: string) => Iterable<string>,
): string[] {
  const known = new Set(ids);
  const done = new Set<string>();
  const visit = (id: string, path: readonly string[]): void => {
    if (done.has(id)) return;
    if (path.includes(id)) throw new AssemblyError(`dependency cycle: ${[...path, id].join(" -> ")}`);
    for (const dependency of dependenciesOf(id)) if (known.has(dependency)) visit(dependency, [...path, id]);
    done.add(id);
  };
  for (const id of ids) visit(id, []);
  return [...done];
}
