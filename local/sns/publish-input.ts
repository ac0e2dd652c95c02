import * as z from "zod";
import { AwsError } from "../core/aws-error.ts";
import { parseQuery } from "../core/query-protocol.ts";
import type { Message } from "./topics.ts";

const MAX_BYTES = 256 * 1024;

/** SNS allows any text without line breaks; we allow only what every mail server takes in a subject. */
const Subject = z
  .string()
  .regex(/^[!-~][ -~]{0,98}$/, "fewer than 100 printable ASCII characters, the first of them not a space");

const PublishInput = z.strictObject({
  TopicArn: z.string().min(1),
  Message: z.string().min(1),
  Subject: Subject.optional(),
  MessageStructure: z.literal("json").optional(),
  attributes: z.record(z.string(), z.string()),
});

/** `MessageAttributes.entry.1.Name`, `.Value.DataType` and `.Value.StringValue`, numbered from 1. */
const ATTRIBUTE = /^MessageAttributes\.entry\.(\d{1,3})\.(Name|Value\.DataType|Value\.StringValue)$/;
const Attribute = z.strictObject({
  Name: z
    .string()
    .regex(/^(?!aws\.|amazon\.)[\w-]+(\.[\w-]+)*$/i)
    .max(256),
  "Value.DataType": z.literal("String"),
  "Value.StringValue": z.string().min(1),
});

/** Throws `InvalidParameter`, or `UnsupportedError` for parameters that it does not know. */
export function parsePublish(
  input: Record<string, string>,
): { topicArn: string } & Pick<Message, "subject" | "bodies" | "attributes"> {
  const parsed = parseQuery({ ...withoutAttributes(input), attributes: attributesIn(input) }, PublishInput, {
    action: "Publish",
    code: "InvalidParameter",
  });
  const { TopicArn: topicArn, Message: text, Subject: subject, MessageStructure, attributes } = parsed;
  const size = [text, ...Object.entries(attributes).flat()].reduce(
    (sum, one) => sum + Buffer.byteLength(one),
    0,
  );
  if (size > MAX_BYTES) throw invalid(`Message too long: ${size} bytes with its attributes`);
  return { topicArn, subject, attributes, bodies: MessageStructure ? bodiesIn(text) : { default: text } };
}

function bodiesIn(text: string): Message["bodies"] {
  const Bodies = z.object({ default: z.string().min(1) }).catchall(z.string());
  try {
    return Bodies.parse(JSON.parse(text));
  } catch {
    throw invalid("Message Structure - JSON message body failed to parse, or has no text for `default`");
  }
}

function withoutAttributes(input: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(input).filter(([name]) => !ATTRIBUTE.test(name)));
}

function attributesIn(input: Record<string, string>): Record<string, string> {
  const entries = new Map<string, Record<string, string>>();
  for (const [parameter, value] of Object.entries(input)) {
    const [, number, field] = ATTRIBUTE.exec(parameter) ?? [];
    if (number && field) entries.set(number, { ...entries.get(number), [field]: value });
  }
  const attributes = [...entries.values()].map((entry) => {
    const { Name, "Value.StringValue": value } = parseQuery(entry, Attribute, {
      action: "Publish",
      code: "InvalidParameterValue",
    });
    return [Name, value] as const;
  });
  if (new Set(attributes.map(([name]) => name)).size < attributes.length)
    throw invalid("two message attributes have the same name");
  return Object.fromEntries(attributes);
}

function invalid(reason: string): AwsError {
  return new AwsError("InvalidParameter", `Invalid parameter: ${reason}`);
}
