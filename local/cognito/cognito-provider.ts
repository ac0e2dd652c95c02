import { createHash } from "node:crypto";
import * as z from "zod";
import { UnsupportedError } from "../core/aws-error.ts";
import { booleanProperty, numberProperty, parseProperties } from "../core/resource-properties.ts";
import {
  ACCOUNT_ID,
  type ProvisionedResource,
  REGION,
  type Resource,
  type ResourceProvider,
} from "../core/service.ts";
import { issuerOf, type UserPools } from "./user-pools.ts";

/**
 * Settings for sign-up and sign-in, which the embedded cloud does not have. They are accepted and have no
 * effect.
 */
const inert = z.unknown().optional();

const UserPoolProperties = z.strictObject({
  AccountRecoverySetting: inert,
  AdminCreateUserConfig: inert,
  AliasAttributes: inert,
  AutoVerifiedAttributes: inert,
  DeletionProtection: inert,
  DeviceConfiguration: inert,
  EmailConfiguration: inert,
  EmailVerificationMessage: inert,
  EmailVerificationSubject: inert,
  EnabledMfas: inert,
  MfaConfiguration: inert,
  Policies: inert,
  Schema: inert,
  SmsVerificationMessage: inert,
  UserAttributeUpdateSettings: inert,
  UsernameAttributes: inert,
  UsernameConfiguration: inert,
  UserPoolAddOns: inert,
  UserPoolName: z.string().optional(),
  UserPoolTags: inert,
  UserPoolTier: inert,
  VerificationMessageTemplate: inert,
});

const ClientProperties = z.strictObject({
  UserPoolId: z.string(),
  ClientName: z.string().optional(),
  // A confidential client would need the token endpoint, which the embedded cloud does not have.
  GenerateSecret: booleanProperty.pipe(z.literal(false)).optional(),
  AccessTokenValidity: numberProperty.optional(),
  AllowedOAuthFlows: inert,
  AllowedOAuthFlowsUserPoolClient: inert,
  AllowedOAuthScopes: inert,
  AuthSessionValidity: inert,
  CallbackURLs: inert,
  DefaultRedirectURI: inert,
  EnableTokenRevocation: inert,
  ExplicitAuthFlows: inert,
  IdTokenValidity: inert,
  LogoutURLs: inert,
  PreventUserExistenceErrors: inert,
  ReadAttributes: inert,
  RefreshTokenRotation: inert,
  RefreshTokenValidity: inert,
  SupportedIdentityProviders: inert,
  TokenValidityUnits: inert,
  WriteAttributes: inert,
});

const DomainProperties = z.strictObject({
  UserPoolId: z.string(),
  Domain: z.string(),
  ManagedLoginVersion: inert,
});

const ResourceServerProperties = z.strictObject({
  UserPoolId: z.string(),
  Identifier: z.string(),
  Name: z.string(),
  Scopes: z.array(z.strictObject({ ScopeName: z.string(), ScopeDescription: z.string() })).default([]),
});

const GroupProperties = z.strictObject({
  UserPoolId: z.string(),
  GroupName: z.string().optional(),
  Description: z.string().optional(),
  Precedence: numberProperty.optional(),
});

/** Provisions user pools and their clients, groups and scopes. A pool's id is the same at every start. */
export class CognitoProvider implements ResourceProvider {
  readonly types = [
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolDomain",
    "AWS::Cognito::UserPoolResourceServer",
    "AWS::Cognito::UserPoolGroup",
  ] as const;
  readonly #pools: UserPools;

  constructor(options: { pools: UserPools }) {
    this.#pools = options.pools;
  }

  async provision(resource: Resource): Promise<ProvisionedResource> {
    switch (resource.type) {
      case "AWS::Cognito::UserPool":
        return this.#provisionPool(resource);
      case "AWS::Cognito::UserPoolClient":
        return this.#provisionClient(resource);
      case "AWS::Cognito::UserPoolDomain": {
        const { UserPoolId, Domain } = parseProperties(resource, DomainProperties);
        this.#pools.get(UserPoolId);
        return { ref: Domain, attributes: {} };
      }
      case "AWS::Cognito::UserPoolResourceServer": {
        const { UserPoolId, Identifier, Scopes } = parseProperties(resource, ResourceServerProperties);
        const { scopes } = this.#pools.get(UserPoolId);
        for (const { ScopeName } of Scopes) scopes.add(`${Identifier}/${ScopeName}`);
        return { ref: Identifier, attributes: {} };
      }
      case "AWS::Cognito::UserPoolGroup": {
        const { UserPoolId, GroupName } = parseProperties(resource, GroupProperties);
        const name = GroupName ?? resource.generatedName;
        this.#pools.get(UserPoolId).groups.add(name);
        return { ref: name, attributes: {} };
      }
      default:
        throw new UnsupportedError(resource.type);
    }
  }

  #provisionPool(resource: Resource): ProvisionedResource {
    parseProperties(resource, UserPoolProperties);
    const id = `${REGION}_${stableId(resource, 9)}`;
    this.#pools.put(id);
    return {
      ref: id,
      attributes: {
        Arn: `arn:aws:cognito-idp:${REGION}:${ACCOUNT_ID}:userpool/${id}`,
        ProviderName: issuerOf(id).replace("https://", ""),
        ProviderURL: issuerOf(id),
        UserPoolId: id,
      },
    };
  }

  #provisionClient(resource: Resource): ProvisionedResource {
    const { UserPoolId, ClientName } = parseProperties(resource, ClientProperties);
    const id = stableId(resource, 26);
    this.#pools.get(UserPoolId).clients.add(id);
    return { ref: id, attributes: { ClientId: id, Name: ClientName ?? resource.generatedName } };
  }
}

/** Lower-case letters and digits, as in Cognito's own ids. */
function stableId({ stack, logicalId }: Resource, length: number): string {
  const digest = createHash("sha256").update(`${stack}/${logicalId}`).digest("hex");
  return BigInt(`0x${digest}`).toString(36).padStart(50, "0").slice(-length);
}
