import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";
import { mockClient } from "aws-sdk-client-mock";
import { expect, test } from "vitest";
import type { Notice } from "#shared/protocol/alarms.ts";
import { SnsAlarmTopic } from "./sns-alarm-topic.ts";

const at = "2030-01-01T00:00:00.000Z";
const notice = (change: Partial<Notice> = {}, sourceName = "db"): Notice => ({
  id: "alm_1.1",
  event: "raised",
  sequence: 1,
  at,
  alarm: {
    id: "alm_1",
    kind: "source-away",
    state: "open",
    subject: "cnv_1",
    sourceName,
    cause: "It has not come back.",
    action: "Look at its screen.",
    since: at,
    raisedAt: at,
    reports: 1,
    reportedAt: at,
  },
  ...change,
});

async function published(said: Notice) {
  const client = new SNSClient({ region: "local-1" });
  const mock = mockClient(client).on(PublishCommand).resolves({});
  await new SnsAlarmTopic(client, "arn:topic").publish(said);
  const input = mock.commandCalls(PublishCommand)[0]?.args[0].input;
  return { ...input, bodies: JSON.parse(input?.Message ?? "") };
}

test("mail gets words, everything else the notice as JSON, with attributes to filter by", async () => {
  const { bodies, ...input } = await published(notice());
  expect(input).toMatchObject({
    TopicArn: "arn:topic",
    Subject: "Alarm: source-away (db)",
    MessageStructure: "json",
    MessageAttributes: { kind: { StringValue: "source-away" }, event: { StringValue: "raised" } },
  });
  expect(JSON.parse(bodies.default)).toEqual(notice());
  expect(bodies.email).toBe(
    `It has not come back.\n\nWhat to do: Look at its screen.\n\nSince ${at}. Alarm alm_1; \`causeway alarms\` shows all.\n`,
  );
});

test.each([["d\nb\u00e9\u0000"], ["x".repeat(200)], ["\u{1f600}"]])(
  "a source named %j makes no subject that SNS refuses",
  async (name) => {
    expect((await published(notice({}, name))).Subject).toMatch(/^[!-~][ -~]{0,98}$/);
  },
);
