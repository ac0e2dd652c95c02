import type { AlarmRecord } from "#shared/domain/alarm.ts";
import { errorFields, type Log } from "#shared/log.ts";
import type { Store } from "../store/store.ts";
import { reportPlanLag } from "./plan-late.ts";
import { type AlarmDeps, sendUnsent } from "./raise.ts";
import { clearIfBack } from "./source-away.ts";

export interface WatchDeps extends AlarmDeps {
  store: Store;
  log: Log;
}

const PAGE = 200;
/** What raised it is repeated for about that long, and sends its notices itself. */
const LEFT_AFTER_MS = 5 * 60_000;

/**
 * Raises the alarm of each plan that is late, clears open alarms whose cause has passed, and sends notices
 * that an interruption or an outage left. One failure does not keep the others from being looked at; the next
 * call makes up for it.
 */
export async function watchAlarms(deps: WatchDeps): Promise<void> {
  const { plans, alarms } = deps.store;
  const judged = new Set<string>();
  let cursor: string | undefined;
  do {
    const page = await plans.page({ limit: PAGE, cursor });
    for (const { id } of page.items) {
      judged.add(id);
      await attempt(id, () => reportPlanLag(id, deps), deps);
    }
    cursor = page.cursor ?? undefined;
  } while (cursor);
  const { items } = await alarms.page({ limit: PAGE });
  for (const alarm of items) await attempt(alarm.subject, () => watchAlarm(alarm, judged, deps), deps);
}

async function watchAlarm(alarm: AlarmRecord, judged: ReadonlySet<string>, deps: WatchDeps): Promise<void> {
  const { kind, subject, state, unsent, noticedAt } = alarm;
  if (unsent.length > 0 && deps.clock.now() - Date.parse(noticedAt) > LEFT_AFTER_MS)
    await sendUnsent(alarm, deps);
  if (state !== "open") return;
  // Of a plan that was deleted since.
  if (kind === "plan-late" && !judged.has(subject)) await reportPlanLag(subject, deps);
  if (kind === "source-away") await clearIfBack(subject, deps);
}

async function attempt(subject: string, work: () => Promise<void>, { log }: WatchDeps): Promise<void> {
  try {
    await work();
  } catch (error) {
    log.error("alarm not looked after", { subject, ...errorFields(error) });
  }
}
