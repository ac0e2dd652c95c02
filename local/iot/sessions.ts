import type { DatabaseSync } from "node:sqlite";
import { Readable } from "node:stream";
import * as z from "zod";
import type { Clock } from "../core/service.ts";
import { inTransaction } from "./database.ts";
import type { Log } from "./ports.ts";
import { matchesFilter } from "./topic.ts";

/** AWS IoT forgets a persistent session this long after its client left. */
const SESSION_EXPIRY_MS = 60 * 60 * 1000;
const MAX_QUEUED_PER_CLIENT = 1000;

interface ClientRef {
  id: string;
}
interface Packet {
  topic: string;
  payload: Buffer | string;
  qos: number;
  brokerId: string;
  brokerCounter: number;
  messageId?: number;
}
interface StoredSubscription {
  clientId: string;
  topic: string;
  qos: number;
}

const Queued = z.object({
  broker_id: z.string(),
  broker_counter: z.number(),
  sent: z.number(),
  topic: z.string(),
  payload: z.instanceof(Uint8Array),
  qos: z.number(),
});

/**
 * The persistence of the MQTT engine: subscriptions of persistent sessions, and their unacknowledged QoS 1
 * messages. Both survive a restart. There are no retained messages and no QoS 2, so those methods store
 * nothing. Aedes defines the methods' names and shapes.
 */
export class Sessions {
  readonly #database: DatabaseSync;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #mayKeep: (clientId: string, filter: string) => boolean;
  /** filter → client → QoS */
  readonly #subscriptions = new Map<string, Map<string, number>>();
  readonly #wills = new Map<string, unknown>();

  constructor(options: {
    database: DatabaseSync;
    clock: Clock;
    log: Log;
    /**
     * Whether the client is allowed this subscription. Aedes stores a whole request, including its refused
     * parts.
     */
    mayKeep: (clientId: string, filter: string) => boolean;
  }) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#mayKeep = options.mayKeep;
    // Clients that were connected when the broker stopped are not connected now.
    this.#run("UPDATE sessions SET disconnected_at = ? WHERE disconnected_at IS NULL", this.#clock.now());
    for (const row of this.#database.prepare("SELECT client_id, filter, qos FROM subscriptions").iterate()) {
      this.#remember(String(row.filter), String(row.client_id), Number(row.qos));
    }
  }

  /**
   * Call when a client connects. Deletes its session if the session expired or the client asks for a clean
   * one.
   */
  begin(clientId: string, persistent: boolean): void {
    if (!persistent || this.#isExpired(clientId)) this.forget(clientId);
    if (!persistent) return;
    this.#run("INSERT OR REPLACE INTO sessions (client_id, disconnected_at) VALUES (?, NULL)", clientId);
    // Packet ids count per connection, so those of the last one are no longer valid.
    this.#run("UPDATE queued SET message_id = NULL WHERE client_id = ?", clientId);
  }

  /** Call when a client disconnects. Its session's expiry starts now. */
  end(clientId: string): void {
    this.#run("UPDATE sessions SET disconnected_at = ? WHERE client_id = ?", this.#clock.now(), clientId);
  }

  forget(clientId: string): void {
    inTransaction(this.#database, () => {
      for (const table of ["sessions", "subscriptions", "queued"]) {
        this.#run(`DELETE FROM ${table} WHERE client_id = ?`, clientId);
      }
    });
    for (const filter of [...this.#subscriptions.keys()]) this.#unremember(filter, clientId);
  }

  dropSubscriptions(clientId: string, filters: string[]): void {
    for (const filter of filters) {
      this.#run("DELETE FROM subscriptions WHERE client_id = ? AND filter = ?", clientId, filter);
      this.#unremember(filter, clientId);
    }
  }

  async setup(): Promise<void> {}

  async addSubscriptions(client: ClientRef, subscriptions: { topic: string; qos: number }[]): Promise<void> {
    for (const { topic, qos } of subscriptions) {
      if (!this.#mayKeep(client.id, topic)) continue;
      this.#run(
        "INSERT OR REPLACE INTO subscriptions (client_id, filter, qos) VALUES (?, ?, ?)",
        client.id,
        topic,
        qos,
      );
      this.#remember(topic, client.id, qos);
    }
  }

  async removeSubscriptions(client: ClientRef, filters: string[]): Promise<void> {
    this.dropSubscriptions(client.id, filters);
  }

  async subscriptionsByClient(client: ClientRef): Promise<{ topic: string; qos: number }[]> {
    return this.#database
      .prepare("SELECT filter, qos FROM subscriptions WHERE client_id = ?")
      .all(client.id)
      .map((row) => ({ topic: String(row.filter), qos: Number(row.qos) }));
  }

  /** The QoS 1 subscriptions of persistent sessions that a message reaches. */
  async subscriptionsByTopic(topic: string): Promise<StoredSubscription[]> {
    const found: StoredSubscription[] = [];
    for (const [filter, clients] of this.#subscriptions) {
      if (!matchesFilter(filter, topic)) continue;
      for (const [clientId, qos] of clients) if (qos > 0) found.push({ clientId, topic: filter, qos });
    }
    return found;
  }

  async cleanSubscriptions(client: ClientRef): Promise<void> {
    this.forget(client.id);
  }

  async outgoingEnqueue(subscription: { clientId: string }, packet: Packet): Promise<void> {
    await this.outgoingEnqueueCombi([subscription], packet);
  }

  async outgoingEnqueueCombi(subscriptions: { clientId: string }[], packet: Packet): Promise<void> {
    for (const { clientId } of subscriptions) {
      if (this.#isExpired(clientId)) this.forget(clientId);
      else if (this.#queueLength(clientId) >= MAX_QUEUED_PER_CLIENT) {
        this.#log({ level: "warn", message: "a session's queue is full", clientId, topic: packet.topic });
      } else this.#enqueue(clientId, packet);
    }
  }

  /**
   * Records the packet id under which a queued message was sent. Ignores a message that is no longer queued.
   */
  async outgoingUpdate(client: ClientRef, packet: Packet): Promise<void> {
    this.#run(
      `UPDATE queued SET message_id = ?, sent = 1 WHERE sequence = (
         SELECT sequence FROM queued WHERE client_id = ? AND broker_id = ? AND broker_counter = ?
         ORDER BY message_id IS NULL DESC, sequence LIMIT 1)`,
      packet.messageId ?? null,
      client.id,
      packet.brokerId,
      packet.brokerCounter,
    );
  }

  /** Drops a message that was acknowledged or that the client must not receive. */
  async outgoingClearMessageId(client: ClientRef, packet: Partial<Packet>): Promise<Partial<Packet>> {
    if (packet.messageId !== undefined) {
      this.#run("DELETE FROM queued WHERE client_id = ? AND message_id = ?", client.id, packet.messageId);
    } else {
      this.#run(
        `DELETE FROM queued WHERE sequence = (
           SELECT sequence FROM queued WHERE client_id = ? AND broker_id = ? AND broker_counter = ?
           ORDER BY message_id IS NULL DESC, sequence LIMIT 1)`,
        client.id,
        packet.brokerId ?? "",
        packet.brokerCounter ?? 0,
      );
    }
    return packet;
  }

  /**
   * The queued messages, oldest first. They are read one by one, so that a thousand large messages are not in
   * memory at once.
   */
  outgoingStream(client: ClientRef): Readable {
    // A message that matched several filters of an absent client was queued once for each filter.
    this.#run(
      `DELETE FROM queued WHERE client_id = ?1 AND sequence NOT IN (
         SELECT MIN(sequence) FROM queued WHERE client_id = ?1 GROUP BY broker_id, broker_counter)`,
      client.id,
    );
    const sequences = this.#database
      .prepare("SELECT sequence FROM queued WHERE client_id = ? ORDER BY sequence")
      .all(client.id);
    return Readable.from(this.#load(sequences.map((row) => Number(row.sequence))));
  }

  async storeRetained(): Promise<void> {}
  createRetainedStreamCombi(): Readable {
    return Readable.from([]);
  }
  async cleanIncoming(): Promise<void> {}

  /** Wills are only in memory because they belong to connections, which end with the broker. */
  async putWill(client: ClientRef, will: unknown): Promise<void> {
    this.#wills.set(client.id, will);
  }
  async delWill(client: ClientRef): Promise<void> {
    this.#wills.delete(client.id);
  }
  streamWill(): Readable {
    return Readable.from([]);
  }

  *#load(sequences: number[]): Generator<unknown> {
    for (const sequence of sequences) {
      const row = this.#database.prepare("SELECT * FROM queued WHERE sequence = ?").get(sequence);
      if (!row) continue;
      const { broker_id, broker_counter, sent, topic, payload, qos } = Queued.parse(row);
      yield {
        cmd: "publish",
        brokerId: broker_id,
        brokerCounter: broker_counter,
        topic,
        payload: Buffer.from(payload),
        qos,
        retain: false,
        dup: sent === 1,
      };
    }
  }

  #enqueue(clientId: string, packet: Packet): void {
    this.#run(
      `INSERT INTO queued (client_id, broker_id, broker_counter, topic, payload, qos) VALUES (?, ?, ?, ?, ?, ?)`,
      clientId,
      packet.brokerId,
      packet.brokerCounter,
      packet.topic,
      Buffer.from(packet.payload),
      packet.qos,
    );
  }

  #queueLength(clientId: string): number {
    const row = this.#database.prepare("SELECT COUNT(*) AS n FROM queued WHERE client_id = ?").get(clientId);
    return Number(row?.n);
  }

  #isExpired(clientId: string): boolean {
    const row = this.#database
      .prepare("SELECT disconnected_at AS at FROM sessions WHERE client_id = ?")
      .get(clientId);
    return typeof row?.at === "number" && this.#clock.now() - row.at > SESSION_EXPIRY_MS;
  }

  #remember(filter: string, clientId: string, qos: number): void {
    const clients = this.#subscriptions.get(filter) ?? new Map<string, number>();
    this.#subscriptions.set(filter, clients.set(clientId, qos));
  }

  #unremember(filter: string, clientId: string): void {
    const clients = this.#subscriptions.get(filter);
    clients?.delete(clientId);
    if (clients?.size === 0) this.#subscriptions.delete(filter);
  }

  #run(sql: string, ...values: (string | number | null | Uint8Array)[]): void {
    this.#database.prepare(sql).run(...values);
  }
}
