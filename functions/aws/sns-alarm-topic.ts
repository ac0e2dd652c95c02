import { PublishCommand, type SNSClient } from "@aws-sdk/client-sns";
import type { Notice } from "#shared/protocol/alarms.ts";
import type { AlarmTopic } from "../ports.ts";

const IN_WORDS: Readonly<Record<Notice["event"], string>> = {
  raised: "Alarm",
  "still-raised": "Still",
  cleared: "Cleared",
};

/** A topic of SNS. E-mail subscribers get words, all others the notice as JSON. */
export class SnsAlarmTopic implements AlarmTopic {
  readonly #client: SNSClient;
  readonly #topicArn: string;

  constructor(client: SNSClient, topicArn: string) {
    this.#client = client;
    this.#topicArn = topicArn;
  }

  async publish(notice: Notice): Promise<void> {
    const { event, alarm } = notice;
    await this.#client.send(
      new PublishCommand({
        TopicArn: this.#topicArn,
        Subject: subjectOf(notice),
        MessageStructure: "json",
        Message: JSON.stringify({ default: JSON.stringify(notice), email: inWords(notice) }),
        MessageAttributes: {
          kind: { DataType: "String", StringValue: alarm.kind },
          event: { DataType: "String", StringValue: event },
        },
      }),
    );
  }
}

/** SNS takes fewer than 100 characters without line breaks; mail servers agree only on ASCII. */
function subjectOf({ event, alarm: { kind, sourceName, subject } }: Notice): string {
  const name = (sourceName ?? subject).replaceAll(/[^ -~]/g, "?");
  return `${IN_WORDS[event]}: ${kind} (${name})`.slice(0, 99);
}

function inWords({ event, at, alarm }: Notice): string {
  const { cause, action, since, id } = alarm;
  const heading = event === "cleared" ? `This alarm was cleared at ${at}. It said:` : cause;
  const rest = event === "cleared" ? cause : `What to do: ${action}`;
  return `${heading}\n\n${rest}\n\nSince ${since}. Alarm ${id}; \`causeway alarms\` shows all.\n`;
}
