import * as z from "zod";
import { AwsError } from "../core/aws-error.ts";
import type { PolicyDocument } from "../core/service.ts";
import { iotArn } from "./ports.ts";

/** What a device can be allowed or denied. */
const DEVICE_ACTIONS = [
  "iot:*",
  "iot:Connect",
  "iot:Publish",
  "iot:Subscribe",
  "iot:Receive",
  "iot:AssumeRoleWithCertificate",
];
const VARIABLES = [
  /^iot:ClientId$/,
  /^iot:Connection\.Thing\.(ThingName|IsAttached)$/,
  /^iot:Connection\.Thing\.Attributes\[[^\]]+\]$/,
];

/** One of these or a list of them, as a list. */
const listOf = <T extends z.ZodType>(item: T) =>
  z.preprocess((given) => (Array.isArray(given) ? given : [given]), z.array(item).min(1));

const Action = z.string().refine((action) => DEVICE_ACTIONS.includes(action), {
  error: (issue) =>
    `devices know no action ${JSON.stringify(issue.input)}; ${DEVICE_ACTIONS.join(", ")} exist`,
});
const ConditionKey = z.string().refine(isKnownVariable, {
  error: (issue) => `there is no condition key ${JSON.stringify(issue.input)}`,
});
const Statement = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(["Allow", "Deny"]),
  Action: listOf(Action),
  Resource: listOf(z.string()),
  Condition: z
    .record(
      z.string(),
      z.record(ConditionKey, z.union([z.string(), z.array(z.string()).min(1), z.boolean(), z.number()])),
    )
    .optional(),
});
const Document = z.strictObject({
  Version: z.literal("2012-10-17"),
  Statement: listOf(Statement),
});

/**
 * The device policies that the templates declare. They are only in memory, because each start provisions them
 * again.
 */
export class Policies {
  readonly #documents = new Map<string, PolicyDocument>();

  /**
   * Throws `MalformedPolicyException` for anything unsupported in device policies, so that nothing is
   * silently ignored.
   */
  put(name: string, document: unknown): void {
    const parsed = Document.safeParse(document);
    if (!parsed.success) {
      throw new AwsError("MalformedPolicyException", `policy ${name}: ${z.prettifyError(parsed.error)}`);
    }
    for (const [, variable = ""] of JSON.stringify(parsed.data).matchAll(/\$\{([^}]*)\}/g)) {
      if (!isKnownVariable(variable)) {
        throw new AwsError(
          "MalformedPolicyException",
          `policy ${name} uses the unknown variable ${variable}`,
        );
      }
    }
    this.#documents.set(name, parsed.data);
  }

  find(name: string): PolicyDocument | undefined {
    return this.#documents.get(name);
  }

  describe(name: string): PolicyDocument {
    const document = this.find(name);
    if (!document) throw new AwsError("ResourceNotFoundException", `there is no policy ${name}`, 404);
    return document;
  }
}

export function policyArn(name: string): string {
  return iotArn("policy", name);
}

// An unknown variable never resolves, and then a Deny that uses it would silently deny nothing.
function isKnownVariable(name: string): boolean {
  return ["*", "?", "$"].includes(name) || VARIABLES.some((known) => known.test(name));
}
