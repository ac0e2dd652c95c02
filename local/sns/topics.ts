import { AwsError } from "../core/aws-error.ts";
import { ACCOUNT_ID, type PolicyDocument, REGION } from "../core/service.ts";

/** A topic as the templates declare it. */
export interface Topic {
  arn: string;
  name: string;
  /** From its own resource; without one, only identity policies decide. */
  policy?: PolicyDocument;
}

export interface Message {
  id: string;
  /** Milliseconds since 1970. */
  at: number;
  subject?: string | undefined;
  /** What each protocol gets; a protocol that is not named gets `default`. */
  bodies: Readonly<Record<string, string>> & { readonly default: string };
  attributes: Readonly<Record<string, string>>;
}

/**
 * The topics of the templates. They have no subscribers: a template cannot declare any, and no call can add
 * one. So a message goes nowhere but to `onPublished`.
 */
export class Topics {
  readonly #topics = new Map<string, Topic>();
  readonly #onPublished: (topic: Topic, message: Message) => void;

  constructor(options: { onPublished: (topic: Topic, message: Message) => void }) {
    this.#onPublished = options.onPublished;
  }

  /** Adds or replaces a topic. Returns its ARN. */
  save(name: string, policy?: PolicyDocument): string {
    const arn = `arn:aws:sns:${REGION}:${ACCOUNT_ID}:${name}`;
    this.#topics.set(arn, { arn, name, ...(policy && { policy }) });
    return arn;
  }

  find(arn: string): Topic | undefined {
    return this.#topics.get(arn);
  }

  /** Throws `NotFound`. */
  get(arn: string): Topic {
    const topic = this.find(arn);
    if (!topic) throw new AwsError("NotFound", "Topic does not exist", 404);
    return topic;
  }

  publish(topic: Topic, message: Message): void {
    this.#onPublished(topic, message);
  }
}
