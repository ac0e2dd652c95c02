/** How an alarm is raised, repeated and cleared, and which notices that takes. */
import * as z from "zod";
import { Alarm, type AlarmKind, Notice, type WebhookDelivery } from "../protocol/alarms.ts";
import { Timestamp } from "../protocol/common.ts";

export const Channel = z.enum(["topic", "webhook"]);
export type Channel = z.infer<typeof Channel>;

/** A notice that has not gone out everywhere, and where it has. */
const Unsent = z.object({ notice: Notice, sent: z.array(Channel) });

export const AlarmRecord = Alarm.omit({ unsentNotices: true }).extend({
  /** The notices that were decided on, oldest first, until they have gone out. */
  unsent: z.array(Unsent),
  /** How many notices there have been, and when the last one was decided on. */
  notices: z.int(),
  noticedAt: Timestamp,
  version: z.int(),
});
export type AlarmRecord = z.infer<typeof AlarmRecord>;

/** What has to be looked after. Texts are plain sentences. */
export interface NewAlarm {
  kind: AlarmKind;
  subject: string;
  sourceId?: string | undefined;
  sourceName?: string | undefined;
  cause: string;
  action: string;
  since: string;
  details?: Record<string, unknown> | undefined;
}

/** How long a repeated cause sends no further notice: what repeats every hour may come a minute early. */
const QUIET_MS = 55 * 60_000;
/** More are not kept: somebody who missed ten notices reads the alarm itself. */
const MAX_UNSENT = 10;
const MAX_DELIVERIES = 5;
const MAX_TEXT = 1000;

/**
 * The alarm after its cause was reported. The first report opens it; later ones update it, with a notice once
 * an hour. `id` is for an alarm that opens.
 */
export function raised(
  current: AlarmRecord | undefined,
  wanted: NewAlarm,
  { id, now }: { id: string; now: string },
): AlarmRecord {
  const report = {
    ...wanted,
    cause: clipped(wanted.cause),
    action: clipped(wanted.action),
    reportedAt: now,
  };
  if (current?.state !== "open") {
    return noticed(
      {
        ...report,
        id,
        state: "open",
        raisedAt: now,
        reports: 1,
        webhook: [],
        unsent: current?.unsent ?? [],
        notices: 0,
        noticedAt: now,
        version: current?.version ?? 0,
      },
      "raised",
      now,
    );
  }
  const repeated = { ...current, ...report, since: current.since, reports: current.reports + 1 };
  const isDue = Date.parse(now) - Date.parse(current.noticedAt) >= QUIET_MS;
  return isDue ? noticed(repeated, "still-raised", now) : repeated;
}

/** The alarm after its cause has passed. One that is not open stays as it is. */
export function cleared(alarm: AlarmRecord, { now, by }: { now: string; by: string }): AlarmRecord {
  if (alarm.state !== "open") return alarm;
  return noticed({ ...alarm, state: "cleared", clearedAt: now, clearedBy: by }, "cleared", now);
}

/**
 * The alarm after one of its notices has gone out on these channels. `deliveredBy` are all channels that
 * there are.
 */
export function sent(alarm: AlarmRecord, noticeId: string, channels: readonly Channel[]): AlarmRecord {
  const unsent = alarm.unsent.map((entry) =>
    entry.notice.id === noticeId ? { ...entry, sent: [...new Set([...entry.sent, ...channels])] } : entry,
  );
  return {
    ...alarm,
    unsent: unsent.filter((entry) => Channel.options.some((one) => !entry.sent.includes(one))),
  };
}

/** The alarm with what is known of a notice at the webhook. An attempt never becomes `waiting` again. */
export function deliveredTo(alarm: AlarmRecord, delivery: WebhookDelivery): AlarmRecord {
  const known = alarm.webhook.find(({ noticeId }) => noticeId === delivery.noticeId);
  if (known && delivery.state === "waiting") return alarm;
  const others = alarm.webhook.filter((one) => one !== known);
  const all = known
    ? alarm.webhook.map((one) => (one === known ? delivery : one))
    : [...others, delivery].slice(-MAX_DELIVERIES);
  return { ...alarm, webhook: all };
}

export function alarmOf({
  unsent,
  notices: _,
  noticedAt: _at,
  version: _version,
  ...alarm
}: AlarmRecord): Alarm {
  return { ...alarm, unsentNotices: unsent.length };
}

function noticed(alarm: AlarmRecord, event: Notice["event"], now: string): AlarmRecord {
  const { unsent, notices, noticedAt: _, version: _version, webhook: _webhook, ...said } = alarm;
  const sequence = notices + 1;
  const notice: Notice = { id: `${alarm.id}.${sequence}`, event, sequence, at: now, alarm: said };
  return {
    ...alarm,
    notices: sequence,
    noticedAt: now,
    unsent: [...unsent, { notice, sent: [] }].slice(-MAX_UNSENT),
  };
}

function clipped(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`;
}
