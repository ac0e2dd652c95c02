/** Writes docs/openapi.json: `npm run openapi`, after every change of a route or of what it carries. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openApiDocument } from "#shared/protocol/openapi.ts";

const path = join(import.meta.dirname, "..", "docs", "openapi.json");
writeFileSync(path, `${JSON.stringify(openApiDocument(), null, 2)}\n`);
