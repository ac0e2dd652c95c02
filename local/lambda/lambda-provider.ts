import * as z from "zod";
import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import { numberProperty, parseProperties, tagsProperty } from "../core/resource-properties.ts";
import {
  ACCOUNT_ID,
  type PolicyStatement,
  type ProvisionedResource,
  type Resource,
  type ResourceProvider,
} from "../core/service.ts";
import { refuseReservedVariables } from "./environment-variables.ts";
import { functionArn, resolveFunctionArn } from "./function-configuration.ts";
import type { Lambda } from "./lambda.ts";

const FunctionProperties = z.strictObject({
  FunctionName: z.string().optional(),
  Description: z.string().optional(),
  Code: z.strictObject({ S3Bucket: z.string(), S3Key: z.string() }),
  Handler: z.string(),
  Runtime: z.literal("nodejs24.x"),
  Role: z.string(),
  Environment: z.strictObject({ Variables: z.record(z.string(), z.string()).optional() }).optional(),
  Timeout: numberProperty.pipe(z.int().min(1).max(900)).default(3),
  MemorySize: numberProperty.pipe(z.int().min(128).max(10_240)).default(128),
  Architectures: z.array(z.enum(["x86_64", "arm64"])).optional(),
  ReservedConcurrentExecutions: numberProperty.pipe(z.int().min(0)).optional(),
  TracingConfig: z.strictObject({ Mode: z.enum(["Active", "PassThrough"]) }).optional(),
  LoggingConfig: z
    .strictObject({
      LogFormat: z.enum(["Text", "JSON"]).optional(),
      LogGroup: z.string().optional(),
      ApplicationLogLevel: z.string().optional(),
      SystemLogLevel: z.string().optional(),
    })
    .optional(),
  Tags: tagsProperty.optional(),
});

const PermissionProperties = z.strictObject({
  Action: z.literal("lambda:InvokeFunction"),
  FunctionName: z.string(),
  Principal: z.string(),
  SourceArn: z.string().optional(),
  SourceAccount: z.string().optional(),
});

const EventInvokeConfigProperties = z.strictObject({
  FunctionName: z.string(),
  Qualifier: z.literal("$LATEST"),
  MaximumRetryAttempts: numberProperty.pipe(z.int().min(0).max(2)).default(2),
  MaximumEventAgeInSeconds: numberProperty.pipe(z.int().min(60).max(21_600)).default(21_600),
});

/** Finds the unpacked directory of a code asset by the S3 key that the template names. */
export interface CodeAssets {
  directoryFor(s3Key: string): string;
}

/** Provisions functions, permissions to invoke them, and settings for their asynchronous events. */
export class LambdaProvider implements ResourceProvider {
  readonly types = [
    "AWS::Lambda::Function",
    "AWS::Lambda::Permission",
    "AWS::Lambda::EventInvokeConfig",
  ] as const;
  readonly #lambda: Lambda;
  readonly #assets: CodeAssets;

  constructor(options: { lambda: Lambda; assets: CodeAssets }) {
    this.#lambda = options.lambda;
    this.#assets = options.assets;
  }

  async provision(resource: Resource): Promise<ProvisionedResource> {
    switch (resource.type) {
      case "AWS::Lambda::Function":
        return this.#provisionFunction(resource);
      case "AWS::Lambda::Permission":
        return this.#provisionPermission(resource);
      case "AWS::Lambda::EventInvokeConfig":
        return this.#provisionEventInvokeConfig(resource);
      default:
        throw new UnsupportedError(resource.type);
    }
  }

  #provisionFunction(resource: Resource): ProvisionedResource {
    const properties = parseProperties(resource, FunctionProperties);
    const name = properties.FunctionName ?? resource.generatedName;
    if (!/^[a-zA-Z0-9-_]{1,64}$/.test(name)) {
      throw new AwsError("InvalidParameterValueException", `'${name}' is not a name of a function`);
    }
    const environment = properties.Environment?.Variables ?? {};
    refuseReservedVariables(Object.keys(environment));
    const logging = properties.LoggingConfig;
    this.#lambda.putFunction({
      name,
      arn: functionArn(name),
      handler: properties.Handler,
      codeDirectory: this.#assets.directoryFor(properties.Code.S3Key),
      roleArn: properties.Role,
      environment,
      timeoutSeconds: properties.Timeout,
      memoryMegabytes: properties.MemorySize,
      logGroup: logging?.LogGroup ?? `/aws/lambda/${name}`,
      logFormat: logging?.LogFormat ?? "Text",
      ...(logging?.ApplicationLogLevel && { logLevel: logging.ApplicationLogLevel }),
      ...(properties.ReservedConcurrentExecutions !== undefined && {
        reservedConcurrency: properties.ReservedConcurrentExecutions,
      }),
    });
    return { ref: name, attributes: { Arn: functionArn(name) } };
  }

  #provisionPermission(resource: Resource): ProvisionedResource {
    const properties = parseProperties(resource, PermissionProperties);
    const arn = resolveFunctionArn(properties.FunctionName);
    this.#lambda.putPermission(arn, {
      Sid: `${resource.stack}-${resource.logicalId}`,
      ...toStatement(arn, properties),
    });
    return { ref: resource.generatedName, attributes: { Id: resource.generatedName } };
  }

  #provisionEventInvokeConfig(resource: Resource): ProvisionedResource {
    const properties = parseProperties(resource, EventInvokeConfigProperties);
    this.#lambda.putAsynchronousPolicy(properties.FunctionName, {
      maximumRetries: properties.MaximumRetryAttempts,
      maximumAgeSeconds: properties.MaximumEventAgeInSeconds,
    });
    return { ref: resource.generatedName, attributes: {} };
  }
}

function toStatement(arn: string, permission: z.infer<typeof PermissionProperties>): PolicyStatement {
  const { Principal, SourceArn, SourceAccount } = permission;
  const isService = Principal.endsWith(".amazonaws.com");
  const isAccount = Principal === ACCOUNT_ID || Principal.startsWith("arn:");
  if (!isService && !isAccount)
    throw new UnsupportedError(`the principal ${Principal} of a Lambda permission`);
  return {
    Effect: "Allow",
    Principal: isService ? { Service: Principal } : { AWS: Principal },
    Action: permission.Action,
    Resource: arn,
    ...((SourceArn !== undefined || SourceAccount !== undefined) && {
      Condition: {
        ...(SourceArn !== undefined && { ArnLike: { "aws:SourceArn": SourceArn } }),
        ...(SourceAccount !== undefined && { StringEquals: { "aws:SourceAccount": SourceAccount } }),
      },
    }),
  };
}
