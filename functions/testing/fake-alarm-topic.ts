import type { Notice } from "#shared/protocol/alarms.ts";
import type { AlarmTopic } from "../ports.ts";
import type { Outage } from "./outage.ts";

/** Keeps what was published. */
export class FakeAlarmTopic implements AlarmTopic {
  readonly published: Notice[] = [];
  readonly #outage: Outage;

  constructor(outage: Outage) {
    this.#outage = outage;
  }

  async publish(notice: Notice): Promise<void> {
    this.#outage.check("publish");
    this.published.push(structuredClone(notice));
  }

  /** As `event kind subject`. */
  get notices(): string[] {
    return this.published.map(({ event, alarm }) => `${event} ${alarm.kind} ${alarm.subject}`);
  }
}
