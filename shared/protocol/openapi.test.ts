import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openApiDocument } from "./openapi.ts";
import { routes } from "./routes.ts";

test("the committed document is the current one: `npm run openapi` writes it", () => {
  const committed = readFileSync(join(import.meta.dirname, "../../docs/openapi.json"), "utf8");
  expect(JSON.parse(committed)).toEqual(JSON.parse(JSON.stringify(openApiDocument())));
});

test("every route is in the document, with its parameters and what it answers", () => {
  const paths = openApiDocument().paths as Record<string, Record<string, Record<string, unknown>>>;
  for (const [id, route] of Object.entries(routes)) {
    const operation = paths[route.path]?.[route.method.toLowerCase()];
    expect(operation).toMatchObject({
      operationId: id,
      responses: { [route.status]: { content: { "application/json": {} } }, default: {} },
    });
    const named = ((operation?.parameters ?? []) as { name: string; in: string }[])
      .filter((parameter) => parameter.in === "path")
      .map((parameter) => `{${parameter.name}}`);
    expect(route.path.match(/\{\w+\}/g) ?? []).toEqual(named);
  }
});

test("every reference leads to something", () => {
  const document = openApiDocument();
  const references = new Set(JSON.stringify(document).match(/"#\/components\/[^"]+"/g));
  expect(references.size).toBeGreaterThan(5);
  for (const reference of references) {
    const [, ...path] = JSON.parse(reference).split("/");
    let found: unknown = document;
    for (const name of path) found = (found as Record<string, unknown>)[name];
    expect(found, reference).toBeTypeOf("object");
  }
});
