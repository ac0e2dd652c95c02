import * as z from "zod";

const Names = z.union([z.string(), z.array(z.string())]);

const TemplateResource = z.strictObject({
  Type: z.string(),
  Properties: z.record(z.string(), z.unknown()).optional(),
  DependsOn: Names.optional(),
  Condition: z.string().optional(),
  Metadata: z.unknown().optional(),
  DeletionPolicy: z.string().optional(),
  UpdateReplacePolicy: z.string().optional(),
});
export type TemplateResource = z.output<typeof TemplateResource>;

/**
 * The template sections that the embedded cloud understands. `Rules` has no effect: it only guards real
 * deployments.
 */
export const Template = z.strictObject({
  AWSTemplateFormatVersion: z.string().optional(),
  Description: z.string().optional(),
  Metadata: z.unknown().optional(),
  Rules: z.unknown().optional(),
  Parameters: z
    .record(z.string(), z.looseObject({ Type: z.string(), Default: z.unknown().optional() }))
    .default({}),
  Mappings: z.record(z.string(), z.record(z.string(), z.record(z.string(), z.unknown()))).default({}),
  Conditions: z.record(z.string(), z.unknown()).default({}),
  Resources: z.record(z.string(), TemplateResource).default({}),
  Outputs: z
    .record(
      z.string(),
      z.looseObject({
        Value: z.unknown(),
        Condition: z.string().optional(),
        Export: z.object({ Name: z.unknown() }).optional(),
      }),
    )
    .default({}),
});
export type Template = z.output<typeof Template>;

/**
 * The logical ids that a value mentions through `Ref`, `Fn::GetAtt` and `Fn::Sub`, including pseudo
 * parameters.
 */
export function* referencesIn(value: unknown): Generator<string> {
  if (Array.isArray(value)) {
    for (const item of value) yield* referencesIn(item);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === "Ref" && typeof inner === "string") yield inner;
    else if (key === "Fn::GetAtt")
      yield String(Array.isArray(inner) ? inner[0] : String(inner).split(".")[0]);
    else if (key === "Fn::Sub") yield* referencesInSub(inner);
    else yield* referencesIn(inner);
  }
}

function* referencesInSub(value: unknown): Generator<string> {
  const [text, variables] = Array.isArray(value) ? value : [value, {}];
  for (const [, name = ""] of String(text).matchAll(SUB_VARIABLE)) {
    if (!name.startsWith("!")) yield name.split(".")[0] ?? name;
  }
  yield* referencesIn(variables);
}

/** `${Name}`, `${Name.Attribute}` and `${!Literal}` in the text of `Fn::Sub`. */
export const SUB_VARIABLE = /\$\{([^}]+)\}/g;
