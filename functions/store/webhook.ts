import * as z from "zod";
import { Timestamp } from "#shared/protocol/common.ts";
import { Aggregates } from "./aggregates.ts";
import type { Table } from "./table.ts";

const KEY = { pk: "WEBHOOK", sk: "WEBHOOK" };

const WebhookRecord = z.object({
  id: z.literal("webhook"),
  setAt: Timestamp,
  setBy: z.string(),
  /** Absent after the webhook was removed. */
  endpoint: z
    .object({
      url: z.string(),
      allowPrivate: z.boolean(),
      /** The secret, encrypted by KMS, in base64. */
      sealedSecret: z.string(),
    })
    .optional(),
  version: z.int(),
});
export type WebhookRecord = z.infer<typeof WebhookRecord>;
export type WebhookEndpoint = NonNullable<WebhookRecord["endpoint"]>;

/** Where notices of alarms go besides the topic: nowhere, or to one webhook. */
export class WebhookStore {
  readonly #webhook: Aggregates<WebhookRecord>;

  constructor(table: Table) {
    this.#webhook = new Aggregates(table, { what: "webhook", schema: WebhookRecord, keys: () => KEY });
  }

  find(): Promise<WebhookRecord | undefined> {
    return this.#webhook.find(KEY);
  }

  /** Sets it, or removes it if there is no endpoint. */
  set(
    endpoint: WebhookEndpoint | undefined,
    { setAt, setBy }: { setAt: string; setBy: string },
  ): Promise<WebhookRecord> {
    return this.#webhook.modify(KEY, (current) => ({
      id: "webhook",
      setAt,
      setBy,
      ...(endpoint ? { endpoint } : {}),
      version: current?.version ?? 0,
    }));
  }
}
