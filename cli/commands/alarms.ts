import type { Alarm, WebhookDelivery } from "#shared/protocol/alarms.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import { type CliCommand, numberOption, textOption } from "../command.ts";
import { oneLine, print, table } from "../terminal.ts";

export const alarms: CliCommand = {
  name: "alarms",
  summary: "Lists alarms: open ones first, then newest first",
  usage: "alarms [--limit N] [--cursor CURSOR]",
  help: [
    ["--limit N", "how many alarms to show (default 50, at most 200)"],
    ["--cursor CURSOR", "continue after the last alarm of the previous page"],
    ...API_HELP,
  ],
  examples: ["causeway alarms", "causeway alarms --json | jq '.items[] | select(.state == \"open\")'"],
  options: { ...API_OPTIONS, limit: { type: "string" }, cursor: { type: "string" } },
  positionals: [],
  async run(call) {
    const limit = numberOption(call, "limit", this.name);
    const cursor = textOption(call, "cursor");
    const page = await apiOf(call).listAlarms({
      query: { ...(limit !== undefined ? { limit } : {}), ...(cursor ? { cursor } : {}) },
    });
    print(call.terminal, call.json, page, () => {
      const more = page.cursor ? `\n\nMore: --cursor ${page.cursor}` : "";
      return alarmList(page.items) + more;
    });
  },
};

export const alarmsTest: CliCommand = {
  name: "alarms test",
  summary: "Sends a test alarm to the topic's subscribers and the webhook, and clears it",
  usage: "alarms test",
  help: API_HELP,
  examples: ["causeway alarms test && sleep 5 && causeway alarms"],
  options: API_OPTIONS,
  positionals: [],
  async run(call) {
    const alarm = await apiOf(call).testAlarm({});
    print(call.terminal, call.json, alarm, () =>
      alarm.webhook.length === 0
        ? "Sent to the topic's subscribers. No webhook is set: `causeway webhook set` sets one."
        : "Sent to the topic's subscribers and to the webhook. `causeway alarms` says whether the webhook took it.",
    );
  },
};

export const alarmsClear: CliCommand = {
  name: "alarms clear",
  summary: "Clears an alarm by hand, for example because its machine no longer exists",
  usage: "alarms clear ALARM",
  help: API_HELP,
  examples: ["causeway alarms clear alm_01jd3v8q6m"],
  options: API_OPTIONS,
  positionals: ["ALARM"],
  async run(call) {
    const alarm = await apiOf(call).clearAlarmById({ parameters: { id: call.arguments.ALARM ?? "" } });
    print(call.terminal, call.json, alarm, () => alarmList([alarm]));
  },
};

/** The alarms in a table, then what each open one says and what is wrong with its notices. */
export function alarmList(items: readonly Alarm[]): string {
  const rows = items.map(({ id, state, kind, sourceName, subject, raisedAt, clearedAt }) => [
    id,
    state,
    kind,
    sourceName ?? subject,
    raisedAt,
    clearedAt ?? "-",
  ]);
  const heading = ["ID", "STATE", "KIND", "ON", "RAISED", "CLEARED"];
  const texts = items.map(detailsOf).filter((text) => text !== "");
  return [table(heading, rows, "No alarm."), ...texts].join("\n\n");
}

function detailsOf({ id, state, cause, action, unsentNotices, webhook }: Alarm): string {
  const said = state === "open" ? [`  ${cause}`, `  What to do: ${action}`] : [];
  const unsent = unsentNotices > 0 ? [`  ${unsentNotices} notices have not been sent everywhere yet.`] : [];
  const lines = [...said, ...unsent, ...webhook.flatMap(deliveryInWords)];
  return lines.length === 0 ? "" : [id, ...lines].map(oneLine).join("\n");
}

function deliveryInWords({ noticeId, state, attempts, at, problem }: WebhookDelivery): string[] {
  if (state === "delivered" || state === "waiting") return [];
  const notice = `  Webhook: notice ${noticeId}`;
  if (state === "dropped") return [`${notice} was not sent, because the webhook was removed.`];
  const after = `after ${attempts} attempts, the last one at ${at}`;
  const outlook = state === "failing" ? "It will be sent again." : "It is not sent again.";
  return [`${notice} has not arrived ${after}: ${problem ?? "no reason is known"}. ${outlook}`];
}
