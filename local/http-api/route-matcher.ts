import type { Route } from "./api-model.ts";

export interface RouteMatch {
  route: Route;
  /** Decoded. */
  pathParameters: Record<string, string>;
}

/**
 * The route for a request, chosen as API Gateway does: the most specific path first (a literal segment before
 * a parameter before `{proxy+}`, segment by segment), an exact method before `ANY`, `$default` last. `path`
 * is decoded and without the query.
 */
export function matchRoute(routes: Iterable<Route>, method: string, path: string): RouteMatch | undefined {
  let best: (RouteMatch & { rank: string }) | undefined;
  for (const route of routes) {
    if (route.key === "$default") {
      best ??= { route, pathParameters: {}, rank: "~" };
      continue;
    }
    if (route.method !== "ANY" && route.method !== method) continue;
    const pathParameters = matchPath(route.path, path);
    if (!pathParameters) continue;
    const rank = rankOf(route);
    if (!best || rank < best.rank) best = { route, pathParameters, rank };
  }
  return best && { route: best.route, pathParameters: best.pathParameters };
}

/** A sort key. It sorts before the key of any less specific route that matches the same request. */
function rankOf(route: Route): string {
  const segments = route.path.split("/").slice(1);
  const kinds = segments.map((segment) => (isGreedy(segment) ? "2" : isParameter(segment) ? "1" : "0"));
  // A full match wins over any greedy one. Among greedy ones, the one with more segments before the variable
  // wins.
  const greedy = kinds.at(-1) === "2" ? "1" : "0";
  return greedy + kinds.join("") + (route.method === "ANY" ? "b" : "a");
}

function matchPath(template: string, path: string): Record<string, string> | undefined {
  const expected = template.split("/").slice(1);
  const actual = path.split("/").slice(1);
  const parameters: Record<string, string> = {};
  for (const [index, segment] of expected.entries()) {
    const value = actual[index];
    if (value === undefined) return undefined;
    if (isGreedy(segment)) {
      const rest = actual.slice(index).join("/");
      if (rest === "") return undefined;
      parameters[segment.slice(1, -2)] = rest;
      return parameters;
    }
    if (isParameter(segment)) {
      if (value === "") return undefined;
      parameters[segment.slice(1, -1)] = value;
    } else if (segment !== value) {
      return undefined;
    }
  }
  return expected.length === actual.length ? parameters : undefined;
}

function isParameter(segment: string): boolean {
  return segment.startsWith("{") && segment.endsWith("}");
}

function isGreedy(segment: string): boolean {
  return segment.startsWith("{") && segment.endsWith("+}");
}
