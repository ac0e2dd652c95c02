import * as z from "zod";
import { UnsupportedError } from "../core/aws-error.ts";
import {
  describeResource,
  numberProperty,
  parseProperties,
  tagsProperty,
} from "../core/resource-properties.ts";
import {
  ACCOUNT_ID,
  type PolicyDocument,
  type ProvisionedResource,
  type Resource,
  type ResourceProvider,
} from "../core/service.ts";
import { AWS_MANAGED_POLICIES } from "./managed-policies.ts";
import { compilePolicy, PolicyDocumentSchema } from "./policy-document.ts";
import type { RoleRegistry } from "./role-registry.ts";

const InlinePolicy = z.strictObject({ PolicyName: z.string(), PolicyDocument: PolicyDocumentSchema });

const RoleProperties = z.strictObject({
  AssumeRolePolicyDocument: PolicyDocumentSchema,
  Description: z.string().optional(),
  ManagedPolicyArns: z.array(z.string()).default([]),
  MaxSessionDuration: numberProperty.default(3600),
  Path: z.string().default("/"),
  Policies: z.array(InlinePolicy).default([]),
  RoleName: z.string().optional(),
  Tags: tagsProperty.optional(),
});

const PolicyProperties = z.strictObject({
  PolicyName: z.string(),
  PolicyDocument: PolicyDocumentSchema,
  Roles: z.array(z.string()).min(1),
});

const ManagedPolicyProperties = z.strictObject({
  Description: z.string().optional(),
  ManagedPolicyName: z.string().optional(),
  Path: z.string().default("/"),
  PolicyDocument: PolicyDocumentSchema,
  Roles: z.array(z.string()).default([]),
});

/**
 * `AWS::IAM::Role`, `AWS::IAM::Policy` and `AWS::IAM::ManagedPolicy`. Users, groups and permissions
 * boundaries are refused.
 */
export class IamProvider implements ResourceProvider {
  readonly types = ["AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"];
  readonly #roles: RoleRegistry;
  readonly #managedPolicies = new Map(AWS_MANAGED_POLICIES);

  constructor(roles: RoleRegistry) {
    this.#roles = roles;
  }

  async provision(resource: Resource): Promise<ProvisionedResource> {
    switch (resource.type) {
      case "AWS::IAM::Role":
        return this.#role(resource);
      case "AWS::IAM::Policy":
        return this.#policy(resource);
      default:
        return this.#managedPolicy(resource);
    }
  }

  #role(resource: Resource): ProvisionedResource {
    const properties = parseProperties(resource, RoleProperties);
    const name = properties.RoleName ?? resource.generatedName;
    const arn = `arn:aws:iam::${ACCOUNT_ID}:role${properties.Path}${name}`;
    const trustPolicy = checked(properties.AssumeRolePolicyDocument);
    const managed = properties.ManagedPolicyArns.map((policyArn) => this.#attachable(policyArn, resource));
    const inline = properties.Policies.map((policy) => checked(policy.PolicyDocument));
    const maxSessionSeconds = properties.MaxSessionDuration;
    this.#roles.add({ name, arn, trustPolicy, maxSessionSeconds, policies: [...managed, ...inline] });
    return { ref: name, attributes: { Arn: arn, RoleId: `AROA${resource.generatedName.toUpperCase()}` } };
  }

  #policy(resource: Resource): ProvisionedResource {
    const { PolicyName, PolicyDocument, Roles } = parseProperties(resource, PolicyProperties);
    const document = checked(PolicyDocument);
    for (const role of Roles) this.#roles.named(role).policies.push(document);
    return { ref: PolicyName, attributes: {} };
  }

  #managedPolicy(resource: Resource): ProvisionedResource {
    const properties = parseProperties(resource, ManagedPolicyProperties);
    const name = properties.ManagedPolicyName ?? resource.generatedName;
    const arn = `arn:aws:iam::${ACCOUNT_ID}:policy${properties.Path}${name}`;
    const document = checked(properties.PolicyDocument);
    this.#managedPolicies.set(arn, document);
    for (const role of properties.Roles) this.#roles.named(role).policies.push(document);
    return { ref: arn, attributes: { PolicyArn: arn } };
  }

  #attachable(policyArn: string, resource: Resource): PolicyDocument {
    const document = this.#managedPolicies.get(policyArn);
    if (document) return document;
    throw new UnsupportedError(`the managed policy ${policyArn} of ${describeResource(resource)}`);
  }
}

/** Compiles the document at the start, so that an unsupported policy fails then and not at the first call. */
function checked(document: PolicyDocument): PolicyDocument {
  compilePolicy(document);
  return document;
}
