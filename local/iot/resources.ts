import * as z from "zod";
import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import type { ProvisionedResource, Resource, ResourceProvider } from "../core/service.ts";
import { type Policies, policyArn } from "./policies.ts";
import { iotArn } from "./ports.ts";
import { type Rules, ruleArn } from "./rules.ts";

const Tags = z.array(z.strictObject({ Key: z.string(), Value: z.string() })).optional();
const Name = z.string().regex(/^[\w+=,.@-]{1,128}$/);
// CloudFormation sometimes passes numbers and booleans as strings.
const Flag = z.union([z.boolean(), z.stringbool({ truthy: ["true"], falsy: ["false"] })]);

const LambdaAction = z.strictObject({ Lambda: z.strictObject({ FunctionArn: z.string() }) });
const TopicRuleProperties = z.strictObject({
  RuleName: z
    .string()
    .regex(/^[a-zA-Z0-9_]{1,128}$/)
    .optional(),
  TopicRulePayload: z.strictObject({
    Sql: z.string(),
    AwsIotSqlVersion: z.literal("2016-03-23"),
    Description: z.string().optional(),
    RuleDisabled: Flag.default(false),
    Actions: z.array(LambdaAction).min(1).max(10),
    ErrorAction: LambdaAction.optional(),
  }),
  Tags,
});
const PolicyProperties = z.strictObject({ PolicyName: Name.optional(), PolicyDocument: z.unknown(), Tags });
const RoleAliasProperties = z.strictObject({
  RoleAlias: Name.optional(),
  RoleArn: z.string(),
  CredentialDurationSeconds: z.coerce.number().int().min(900).max(43_200).default(3600),
  Tags,
});

export interface RoleAlias {
  roleArn: string;
  durationSeconds: number;
}

/** Provisions topic rules, device policies and role aliases from the templates. */
export class IotResources implements ResourceProvider {
  readonly types = ["AWS::IoT::TopicRule", "AWS::IoT::Policy", "AWS::IoT::RoleAlias"];
  /** By name. The credentials provider reads them. */
  readonly roleAliases = new Map<string, RoleAlias>();
  readonly #policies: Policies;
  readonly #rules: Rules;

  constructor(options: { policies: Policies; rules: Rules }) {
    this.#policies = options.policies;
    this.#rules = options.rules;
  }

  async provision(resource: Resource): Promise<ProvisionedResource> {
    switch (resource.type) {
      case "AWS::IoT::TopicRule":
        return this.#topicRule(resource);
      case "AWS::IoT::Policy":
        return this.#policy(resource);
      case "AWS::IoT::RoleAlias":
        return this.#roleAlias(resource);
      default:
        throw new UnsupportedError(`the resource type ${resource.type}`);
    }
  }

  #topicRule(resource: Resource): ProvisionedResource {
    const { RuleName, TopicRulePayload: rule } = parse(TopicRuleProperties, resource);
    // Rule names have no hyphens.
    const name = RuleName ?? resource.generatedName.replaceAll(/[^a-zA-Z0-9_]/g, "_");
    this.#rules.put({
      name,
      sql: rule.Sql,
      enabled: !rule.RuleDisabled,
      actions: rule.Actions.map((action) => action.Lambda.FunctionArn),
      ...(rule.ErrorAction && { errorAction: rule.ErrorAction.Lambda.FunctionArn }),
    });
    return { ref: name, attributes: { Arn: ruleArn(name) } };
  }

  #policy(resource: Resource): ProvisionedResource {
    const properties = parse(PolicyProperties, resource);
    const name = properties.PolicyName ?? resource.generatedName;
    this.#policies.put(name, properties.PolicyDocument);
    return { ref: name, attributes: { Arn: policyArn(name), Id: name } };
  }

  #roleAlias(resource: Resource): ProvisionedResource {
    const properties = parse(RoleAliasProperties, resource);
    const name = properties.RoleAlias ?? resource.generatedName;
    this.roleAliases.set(name, {
      roleArn: properties.RoleArn,
      durationSeconds: properties.CredentialDurationSeconds,
    });
    return { ref: name, attributes: { RoleAliasArn: roleAliasArn(name) } };
  }
}

export function roleAliasArn(name: string): string {
  return iotArn("rolealias", name);
}

function parse<T extends z.ZodType>(schema: T, resource: Resource): z.output<T> {
  const parsed = schema.safeParse(resource.properties);
  if (parsed.success) return parsed.data;
  throw new AwsError(
    "ValidationException",
    `${resource.stack}/${resource.logicalId} (${resource.type}): ${z.prettifyError(parsed.error)}`,
  );
}
