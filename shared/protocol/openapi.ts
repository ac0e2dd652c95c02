/** The API's OpenAPI 3.1 document, derived from the table of routes. */
import * as z from "zod";
import * as alarms from "./alarms.ts";
import * as bootReceipts from "./boot-receipt.ts";
import * as cutovers from "./cutover.ts";
import * as forecasts from "./cutover-forecast.ts";
import * as machines from "./defined-machine.ts";
import * as drills from "./drill.ts";
import { Inventory } from "./inventory.ts";
import * as proofs from "./proof.ts";
import * as protection from "./protection.ts";
import * as recoveries from "./recovery.ts";
import * as checks from "./repository-check.ts";
import * as resources from "./resources.ts";
import { type Route, type RouteAuth, routes } from "./routes.ts";

type Json = Record<string, unknown>;

/** What answers consist of: schemas that the document names once and refers to. */
const named = z.registry<{ id: string }>();
named.add(Inventory, { id: "Inventory" });
const modules = [alarms, bootReceipts, checks, cutovers, drills, forecasts, machines, proofs, protection];
for (const exported of [...modules, recoveries, resources])
  for (const [id, type] of Object.entries(exported)) {
    if (type instanceof z.ZodObject) named.add(type, { id });
  }
/** In a request, what has a default may be left out: such a schema is another one than the answer's. */
const unnamed = z.registry<{ id: string }>();

export function openApiDocument(): Json {
  const paths: Record<string, Json> = {};
  const schemas: Json = {};
  schema(resources.Problem, "output", schemas);
  const all: [string, Route][] = Object.entries(routes);
  for (const [id, route] of all) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(id, route, schemas) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Causeway",
      version: "1",
      description:
        "Turns running servers into virtual machines. Lists are paged: pass the `cursor` of one page to get the next.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => a.localeCompare(b))),
      responses: {
        Problem: {
          description: "Problem details (RFC 9457)",
          content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
        },
      },
      securitySchemes: {
        user: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
        agent: {
          type: "apiKey",
          in: "header",
          name: "Authorization",
          description: "AWS Signature Version 4, with the agent's temporary credentials",
        },
      },
    },
  };
}

const security: Readonly<Record<RouteAuth, Json[]>> = {
  user: [{ user: [] }],
  agent: [{ agent: [] }],
  none: [],
};

function operation(operationId: string, route: Route, schemas: Json): Json {
  const { summary, auth, status, path, query, body, response } = route;
  return {
    operationId,
    summary,
    security: security[auth],
    parameters: [...pathParameters(path), ...queryParameters(query), ...idempotency(operationId)],
    ...(body
      ? {
          requestBody: {
            required: true,
            content: { "application/json": { schema: schema(body, "input", schemas) } },
          },
        }
      : {}),
    responses: {
      [status]: {
        description: "Done",
        content: { "application/json": { schema: schema(response, "output", schemas) } },
      },
      default: { $ref: "#/components/responses/Problem" },
    },
  };
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
}

function queryParameters(query: z.ZodObject | undefined): Json[] {
  if (!query) return [];
  const { properties = {}, required = [] } = z.toJSONSchema(query, { io: "input" });
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema: property,
  }));
}

function idempotency(operationId: string): Json[] {
  if (operationId !== "startConversion") return [];
  const description = "Within a day, a repeated request with the same key starts nothing new.";
  return [{ name: "Idempotency-Key", in: "header", description, schema: { type: "string", maxLength: 200 } }];
}

/** The type's JSON schema; what it refers to by name is added to `components`. */
function schema(type: z.ZodType, io: "input" | "output", components: Json): Json {
  const {
    $schema: _,
    $defs = {},
    ...rest
  } = z.toJSONSchema(type, {
    io,
    metadata: io === "output" ? named : unnamed,
  });
  const references = (json: Json): Json =>
    JSON.parse(JSON.stringify(json).replaceAll('"#/$defs/', '"#/components/schemas/'));
  for (const [id, definition] of Object.entries($defs)) {
    const { id: _id, ...own } = definition;
    components[id] = references(own);
  }
  const { id, ...own } = rest;
  if (id === undefined) return references(own);
  components[id] = references(own);
  return { $ref: `#/components/schemas/${id}` };
}
