/** Writes docs/openapi.json: run `npm run openapi` after every change of a route or its schemas. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openApiDocument } from "#shared/protocol/openapi.ts";

const path = join(import.meta.dirname, "..", "docs", "openapi.json");
writeFileSync(path, `${JSON.stringify(openApiDocument(), null, 2)}\n`);
