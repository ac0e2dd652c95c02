import { openApiDocument } from "#shared/protocol/openapi.ts";
import { type Answer, apiHandler } from "../middleware/api-handler.ts";

export const handler = apiHandler({
  name: "api/openapi",
  build: () => ({}),
  operations: { getOpenApi: run },
});

export async function run(): Promise<Answer<"getOpenApi">> {
  return openApiDocument();
}
