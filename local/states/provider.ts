import * as z from "zod";
import { AwsError, UnsupportedError } from "#local/core/aws-error.ts";
import type { ProvisionedResource, Resource, ResourceProvider } from "#local/core/service.ts";
import type { StatesEngine } from "./engine.ts";

/**
 * Properties that are accepted without effect. The whole history is always kept in one plain file, so there
 * is nothing to log, trace or encrypt elsewhere.
 */
const WithoutEffect = {
  LoggingConfiguration: z
    .strictObject({
      Level: z.enum(["ALL", "ERROR", "FATAL", "OFF"]).optional(),
      IncludeExecutionData: z.boolean().optional(),
      Destinations: z.array(z.unknown()).optional(),
    })
    .optional(),
  TracingConfiguration: z.strictObject({ Enabled: z.boolean().optional() }).optional(),
  Tags: z.array(z.strictObject({ Key: z.string(), Value: z.string() })).optional(),
  EncryptionConfiguration: z
    .strictObject({
      Type: z.enum(["AWS_OWNED_KEY", "CUSTOMER_MANAGED_KMS_KEY"]),
      KmsKeyId: z.string().optional(),
      KmsDataKeyReusePeriodSeconds: z.int().optional(),
    })
    .optional(),
};

const Properties = z.strictObject({
  DefinitionString: z.string(),
  DefinitionSubstitutions: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
  RoleArn: z.string(),
  StateMachineName: z.string().optional(),
  StateMachineType: z.enum(["STANDARD", "EXPRESS"]).default("STANDARD"),
  ...WithoutEffect,
});

/** State machines of a template. A changed definition becomes a new revision, which later executions run. */
export class StateMachineProvider implements ResourceProvider {
  readonly types = ["AWS::StepFunctions::StateMachine"] as const;
  readonly #engine: StatesEngine;

  constructor(engine: StatesEngine) {
    this.#engine = engine;
  }

  /**
   * Rejects with an `AwsError` if the definition is invalid, and with `UnsupportedError` for an unknown
   * property or feature.
   */
  async provision(resource: Resource): Promise<ProvisionedResource> {
    const where = `${resource.stack}/${resource.logicalId}`;
    const properties = parseProperties(resource.properties, where);
    if (properties.StateMachineType === "EXPRESS")
      throw new UnsupportedError(`the EXPRESS workflow ${where}`);
    const { arn, name, revisionId } = this.#engine.putMachine({
      name: properties.StateMachineName ?? resource.generatedName,
      definition: substitute(properties.DefinitionString, properties.DefinitionSubstitutions, where),
      roleArn: properties.RoleArn,
    });
    return { ref: arn, attributes: { Arn: arn, Name: name, StateMachineRevisionId: revisionId } };
  }
}

function parseProperties(properties: unknown, where: string): z.infer<typeof Properties> {
  const parsed = Properties.safeParse(properties);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) {
    if (issue.code === "unrecognized_keys") {
      throw new UnsupportedError(`the property ${[...issue.path, issue.keys[0]].join(".")} of ${where}`);
    }
  }
  throw new AwsError("ValidationException", `${where}: ${z.prettifyError(parsed.error)}`);
}

function substitute(definition: string, values: Record<string, unknown>, where: string): string {
  return definition.replace(/\$\{([A-Za-z0-9_.-]+)\}/g, (placeholder, name: string) => {
    if (!Object.hasOwn(values, name)) {
      throw new AwsError("ValidationException", `${where}: nothing to put in place of ${placeholder}`);
    }
    return String(values[name]);
  });
}
