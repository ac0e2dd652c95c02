import * as z from "zod";
import { parseProperties, tagsProperty } from "../core/resource-properties.ts";
import type { ProvisionedResource, Resource, ResourceProvider } from "../core/service.ts";
import { compilePolicy, PolicyDocumentSchema } from "../iam/policy-document.ts";
import type { Topics } from "./topics.ts";

const TopicProperties = z.strictObject({
  TopicName: z
    .string()
    .regex(/^[\w-]{1,256}$/)
    .optional(),
  DisplayName: z.string().max(100).optional(),
  /** How messages to HTTP endpoints are signed. Without effect: no topic has subscribers. */
  SignatureVersion: z.enum(["1", "2"]).optional(),
  Tags: tagsProperty.optional(),
});

const TopicPolicyProperties = z.strictObject({
  PolicyDocument: PolicyDocumentSchema,
  Topics: z.array(z.string()).min(1),
});

/** `AWS::SNS::Topic` and `AWS::SNS::TopicPolicy`. Subscriptions and FIFO topics are refused. */
export class SnsProvider implements ResourceProvider {
  readonly types = ["AWS::SNS::Topic", "AWS::SNS::TopicPolicy"];
  readonly #topics: Topics;

  constructor(options: { topics: Topics }) {
    this.#topics = options.topics;
  }

  async provision(resource: Resource): Promise<ProvisionedResource> {
    return resource.type === "AWS::SNS::Topic" ? this.#topic(resource) : this.#policy(resource);
  }

  #topic(resource: Resource): ProvisionedResource {
    const { TopicName = resource.generatedName } = parseProperties(resource, TopicProperties);
    const arn = this.#topics.save(TopicName);
    return { ref: arn, attributes: { TopicArn: arn, TopicName } };
  }

  #policy(resource: Resource): ProvisionedResource {
    const { PolicyDocument, Topics: arns } = parseProperties(resource, TopicPolicyProperties);
    // A policy that cannot be evaluated is an error now, not at the first message.
    compilePolicy(PolicyDocument);
    for (const arn of arns) this.#topics.save(this.#topics.get(arn).name, PolicyDocument);
    return { ref: resource.generatedName, attributes: { Id: resource.generatedName } };
  }
}
