import * as z from "zod";
import { UnsupportedError } from "./aws-error.ts";
import type { Resource } from "./service.ts";

/** Names a resource the way error messages do: `AWS::IAM::Role Data/TableRole`. */
export function describeResource(resource: Pick<Resource, "type" | "stack" | "logicalId">): string {
  return `${resource.type} ${resource.stack}/${resource.logicalId}`;
}

/** A boolean property, which CloudFormation also accepts as the strings "true" and "false". */
export const booleanProperty = z.union([z.boolean(), z.stringbool({ truthy: ["true"], falsy: ["false"] })]);

/** A number property, which CloudFormation also accepts as a decimal string. */
export const numberProperty = z.union([z.number(), z.string().regex(/^\d+$/).transform(Number)]);

/** Tags. They have no effect. */
export const tagsProperty = z.array(z.strictObject({ Key: z.string(), Value: z.string() }));

/**
 * Parses a resource's properties with a schema, which must use strict objects. Throws `UnsupportedError`,
 * which names the resource and every property that the schema does not accept.
 */
export function parseProperties<Schema extends z.ZodType>(
  resource: Resource,
  schema: Schema,
): z.output<Schema> {
  const parsed = schema.safeParse(resource.properties);
  if (parsed.success) return parsed.data;
  const complaints = parsed.error.issues.map((issue) => {
    const where = issue.path.join(".");
    return where === "" ? issue.message : `${where}: ${issue.message}`;
  });
  throw new UnsupportedError(`${describeResource(resource)} as declared (${complaints.join("; ")})`);
}
