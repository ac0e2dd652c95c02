import * as z from "zod";
import {
  booleanProperty,
  numberProperty,
  parseProperties,
  tagsProperty,
} from "../core/resource-properties.ts";
import {
  ACCOUNT_ID,
  type ProvisionedResource,
  REGION,
  type Resource,
  type ResourceProvider,
} from "../core/service.ts";

const LogGroupProperties = z.strictObject({
  LogGroupName: z.string().optional(),
  LogGroupClass: z.string().optional(),
  RetentionInDays: numberProperty.optional(),
  KmsKeyId: z.string().optional(),
  DeletionProtectionEnabled: booleanProperty.optional(),
  Tags: tagsProperty.optional(),
});

/**
 * `AWS::Logs::LogGroup`: only a name that other resources refer to. The functions' output goes to the
 * embedded cloud's own log.
 */
export class LogGroupProvider implements ResourceProvider {
  readonly types = ["AWS::Logs::LogGroup"];

  async provision(resource: Resource): Promise<ProvisionedResource> {
    const { LogGroupName: name = resource.generatedName } = parseProperties(resource, LogGroupProperties);
    return { ref: name, attributes: { Arn: `arn:aws:logs:${REGION}:${ACCOUNT_ID}:log-group:${name}:*` } };
  }
}
