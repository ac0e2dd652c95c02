/**
 * Raises and clears alarms. The alarm and its notices are stored first, in one write. Then each notice goes
 * into the audit, to the topic and to the webhook. The caller repeats a call that was interrupted in between,
 * and that sends what is left; so does every later call for the same alarm.
 */
import {
  type AlarmRecord,
  type Channel,
  cleared,
  deliveredTo,
  type NewAlarm,
  raised,
  sent,
} from "#shared/domain/alarm.ts";
import { newId } from "#shared/domain/id.ts";
import type { Notice } from "#shared/protocol/alarms.ts";
import { timestamp } from "../conversion/deps.ts";
import type { AlarmTopic, Clock, Random, Workflow } from "../ports.ts";
import type { AlarmKey } from "../store/alarms.ts";
import type { Store } from "../store/store.ts";

export interface AlarmDeps {
  store: Pick<Store, "alarms" | "audit" | "webhook">;
  topic: AlarmTopic;
  /** Runs `send-webhook` for each notice. */
  webhooks: Pick<Workflow, "start">;
  clock: Clock;
  random: Random;
}

/** The dependencies of code that looks at what an alarm is about, and raises or clears it. */
export interface ReportDeps extends AlarmDeps {
  store: Store;
}

/**
 * Opens the alarm, or updates the one that is open for its subject and kind. Sends a notice when it opens,
 * and at most once an hour while it is reported again. Rejects if a notice could not be sent everywhere: the
 * caller repeats the call.
 */
export async function raiseAlarm(wanted: NewAlarm, deps: AlarmDeps): Promise<AlarmRecord> {
  const nowMs = deps.clock.now();
  const opening = { id: newId("alm", nowMs, deps.random(10)), now: new Date(nowMs).toISOString() };
  const alarm = await deps.store.alarms.modify(wanted, (current) => raised(current, wanted, opening));
  return sendUnsent(alarm, deps);
}

/** Clears the alarm if it is open, and sends one notice. Rejects as `raiseAlarm` does. */
export async function clearAlarm(
  key: AlarmKey,
  deps: AlarmDeps,
  by = "causeway",
): Promise<AlarmRecord | undefined> {
  const now = timestamp(deps.clock);
  const alarm = await deps.store.alarms.modifyExisting(key, (current) => cleared(current, { now, by }));
  return alarm && sendUnsent(alarm, deps);
}

/** Sends the notices of this alarm that have not gone out everywhere. Rejects as `raiseAlarm` does. */
export async function sendUnsent(alarm: AlarmRecord, deps: AlarmDeps): Promise<AlarmRecord> {
  let current = alarm;
  for (const { notice, sent: already } of alarm.unsent) {
    await recordNotice(notice, deps);
    current = await send(notice, already, deps);
  }
  return current;
}

async function recordNotice({ event, at, alarm }: Notice, { store }: AlarmDeps): Promise<void> {
  await store.audit.addOnce({
    at,
    actor: event === "cleared" ? (alarm.clearedBy ?? "causeway") : "causeway",
    action: event === "still-raised" ? "alarm-repeated" : `alarm-${event}`,
    subject: alarm.subject,
    outcome: "done",
    details: { alarmId: alarm.id, kind: alarm.kind, cause: alarm.cause },
  });
}

/** Sends the notice on each channel that has not had it. If one channel fails, the other still gets it. */
async function send(notice: Notice, already: readonly Channel[], deps: AlarmDeps): Promise<AlarmRecord> {
  const { alarms } = deps.store;
  const ways: Record<Channel, () => Promise<"done" | "waiting">> = {
    topic: async () => {
      await deps.topic.publish(notice);
      return "done";
    },
    webhook: () => startWebhook(notice, deps),
  };
  const left = (Object.keys(ways) as Channel[]).filter((channel) => !already.includes(channel));
  const outcomes = await Promise.allSettled(left.map((channel) => ways[channel]()));
  const done = left.filter((_, index) => outcomes[index]?.status === "fulfilled");
  const isWaiting = outcomes.some((outcome) => outcome.status === "fulfilled" && outcome.value === "waiting");
  const key = { kind: notice.alarm.kind, subject: notice.alarm.subject };
  const waiting = { noticeId: notice.id, state: "waiting" as const, attempts: 0, at: notice.at };
  const updated = await alarms.modify(key, (current) => {
    if (!current) throw new Error(`the alarm of notice ${notice.id} is gone`);
    const marked = sent(current, notice.id, done);
    return isWaiting ? deliveredTo(marked, waiting) : marked;
  });
  const failure = outcomes.find((outcome) => outcome.status === "rejected");
  if (failure) throw failure.reason;
  return updated;
}

/** The workflow is named by the notice, so that a repetition starts no second one. */
async function startWebhook(notice: Notice, { store, webhooks }: AlarmDeps): Promise<"done" | "waiting"> {
  const webhook = await store.webhook.find();
  if (!webhook?.endpoint) return "done";
  await webhooks.start(notice.id, { notice });
  return "waiting";
}
