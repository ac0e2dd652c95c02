/** Alarms: what an operator has to look after, and the notices that say so. */
import * as z from "zod";
import { Timestamp } from "./common.ts";
import { AgentId, ResourceId } from "./ids.ts";

/** What is wrong. Each kind has its row in docs/operations.md, "Alarms". */
export const AlarmKind = z.enum([
  /** A conversion has ended, and its source is not known to be back in its original system. */
  "source-away",
  /** A protection plan has no recovery point that is as new as its timetable promises. */
  "plan-late",
  /** A scheduled drill of a protection plan did not see its recovery point boot, or could not begin. */
  "drill-failed",
  /**
   * A cutover did not begin when it was to, because its forecast did not fit; or it waits and no window is
   * left; or it was rolled back, or failed.
   */
  "cutover-held",
  /** A check found recovery points of a source damaged in the repository. */
  "repository-damaged",
  /** The tracker of a source had not noticed changes of a disk. */
  "tracker-wrong",
  /** A source could not put its fence up, or take it down. */
  "fence-failed",
  /** Nothing is wrong: an operator tries out how alarms arrive. */
  "test",
]);
export type AlarmKind = z.infer<typeof AlarmKind>;

/** How one notice fared at the webhook. */
export const WebhookDelivery = z.object({
  noticeId: z.string(),
  /** `failing` is tried again; `given-up` is not. `dropped`: the webhook was removed in the meantime. */
  state: z.enum(["waiting", "delivered", "failing", "given-up", "dropped"]),
  attempts: z.int().nonnegative(),
  at: Timestamp,
  /** Why the last attempt failed. */
  problem: z.string().optional(),
});
export type WebhookDelivery = z.infer<typeof WebhookDelivery>;

const alarmFields = {
  id: ResourceId,
  kind: AlarmKind,
  state: z.enum(["open", "cleared"]),
  /** What the alarm is about, such as a conversion. There is at most one open alarm of a kind for it. */
  subject: ResourceId,
  sourceId: AgentId.optional(),
  sourceName: z.string().optional(),
  /** In plain words. */
  cause: z.string(),
  /** What to do about it. */
  action: z.string(),
  /** Since when it has been so, which can be before the alarm was raised. */
  since: Timestamp,
  raisedAt: Timestamp,
  /** How many times the cause was reported, and when last. */
  reports: z.int().positive(),
  reportedAt: Timestamp,
  clearedAt: Timestamp.optional(),
  /** `causeway`, or the operator who cleared it by hand. */
  clearedBy: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
};

/** What a notice says about its alarm, as of the notice. */
const NoticedAlarm = z.object(alarmFields);

/** A message about an alarm. It can arrive more than once and out of order. */
export const Notice = z.object({
  /** The same whenever this notice is sent again: `alm_….2`. */
  id: z.string(),
  event: z.enum(["raised", "still-raised", "cleared"]),
  /** Orders the notices of one alarm, from 1. */
  sequence: z.int().positive(),
  at: Timestamp,
  alarm: NoticedAlarm,
});
export type Notice = z.infer<typeof Notice>;

export const Alarm = z.object({
  ...alarmFields,
  /** Notices that have not yet gone out everywhere. */
  unsentNotices: z.int().nonnegative(),
  /** Of the last five notices, newest last. Empty if no webhook was set. */
  webhook: z.array(WebhookDelivery),
});
export type Alarm = z.infer<typeof Alarm>;

const PRINTABLE = /^[!-~]+$/;

export const NewWebhook = z.strictObject({
  url: z.string().max(2000),
  /** Signs the notices. It cannot be read back. */
  secret: z.string().min(32).max(200).regex(PRINTABLE, "printable ASCII characters without spaces"),
  /** Whether the URL's host may have a private address, such as 10.0.0.1. */
  allowPrivate: z.boolean().default(false),
});

export const Webhook = z.object({
  /** Absent if none is set. */
  url: z.string().optional(),
  allowPrivate: z.boolean().optional(),
  setAt: Timestamp.optional(),
  setBy: z.string().optional(),
});
export type Webhook = z.infer<typeof Webhook>;
