import { expect, test } from "vitest";
import type { Route } from "./api-model.ts";
import { matchRoute } from "./route-matcher.ts";

function route(key: string): Route {
  const [method = "", path = ""] = key.split(" ");
  return { key, method, path, integrationId: "i", authorization: { type: "NONE" } };
}

// The example of the API Gateway developer guide, and what it leaves open.
const keys = [
  "$default",
  "ANY /{proxy+}",
  "GET /pets/{proxy+}",
  "ANY /pets/dog/{id}",
  "GET /pets/dog/{id}",
  "GET /pets/dog/1",
  "GET /{kind}/dog/1",
  "GET /",
];

test.each([
  ["GET", "/pets/dog/1", "GET /pets/dog/1", {}],
  ["GET", "/pets/dog/2", "GET /pets/dog/{id}", { id: "2" }],
  ["PUT", "/pets/dog/2", "ANY /pets/dog/{id}", { id: "2" }],
  ["GET", "/wild/dog/1", "GET /{kind}/dog/1", { kind: "wild" }],
  ["GET", "/pets/cat/1", "GET /pets/{proxy+}", { proxy: "cat/1" }],
  ["POST", "/pets/cat/1", "ANY /{proxy+}", { proxy: "pets/cat/1" }],
  ["GET", "/", "GET /", {}],
  ["POST", "/", "$default", {}],
  ["GET", "/pets/dog/", "GET /pets/{proxy+}", { proxy: "dog/" }],
])("%s %s goes to %s", (method, path, key, pathParameters) => {
  for (const order of [keys, keys.toReversed()]) {
    const match = matchRoute(order.map(route), method, path);
    expect(match).toEqual({ route: route(key), pathParameters });
  }
});

test("without a default route, a request that no route names matches none", () => {
  const routes = ["GET /a/{id}", "POST /a"].map(route);
  for (const path of ["/", "/a", "/a/", "/a/b/c", "/b/1"])
    expect(matchRoute(routes, "GET", path)).toBeUndefined();
});
