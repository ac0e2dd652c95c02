import type { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import type { Clock } from "../core/service.ts";

/** AWS restarts a client's connection count after it was disconnected for about this long. */
const VERSION_RESET_MS = 60 * 60 * 1000;

/** As AWS IoT names them. */
export type DisconnectReason =
  | "AUTH_ERROR"
  | "CLIENT_INITIATED_DISCONNECT"
  | "CLIENT_ERROR"
  | "CONNECTION_LOST"
  | "DUPLICATE_CLIENTID"
  | "MQTT_KEEP_ALIVE_TIMEOUT"
  | "SERVER_ERROR"
  | "SERVER_INITIATED_DISCONNECT";

export interface PresentClient {
  clientId: string;
  certificateId: string;
  /** Of this connection. */
  sessionId: string;
  ipAddress: string;
}

const Row = z.object({
  client_id: z.string(),
  version: z.number(),
  session_id: z.string(),
  certificate_id: z.string(),
});

/** Announces connections and disconnections with AWS's lifecycle events on `$aws/events/presence/…`. */
export class Presence {
  readonly #database: DatabaseSync;
  readonly #clock: Clock;
  readonly #publish: (topic: string, payload: Buffer) => void;

  constructor(options: {
    database: DatabaseSync;
    clock: Clock;
    publish: (topic: string, payload: Buffer) => void;
  }) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#publish = options.publish;
  }

  /** Announces as disconnected every client that was connected when the broker last stopped. */
  recover(): void {
    for (const row of this.#database.prepare("SELECT * FROM presence WHERE connected = 1").all()) {
      const { client_id, session_id, certificate_id } = Row.parse(row);
      this.disconnected(
        { clientId: client_id, sessionId: session_id, certificateId: certificate_id },
        "SERVER_ERROR",
      );
    }
  }

  connected(client: PresentClient): void {
    const versionNumber = this.#nextVersion(client.clientId);
    this.#database
      .prepare(
        `INSERT OR REPLACE INTO presence (client_id, version, connected, session_id, certificate_id, changed_at)
         VALUES (?, ?, 1, ?, ?, ?)`,
      )
      .run(client.clientId, versionNumber, client.sessionId, client.certificateId, this.#clock.now());
    this.#announce("connected", client, { ipAddress: client.ipAddress, versionNumber });
  }

  disconnected(client: Omit<PresentClient, "ipAddress">, disconnectReason: DisconnectReason): void {
    this.#database
      .prepare("UPDATE presence SET connected = 0, changed_at = ? WHERE client_id = ? AND session_id = ?")
      .run(this.#clock.now(), client.clientId, client.sessionId);
    this.#announce("disconnected", client, {
      clientInitiatedDisconnect: disconnectReason === "CLIENT_INITIATED_DISCONNECT",
      disconnectReason,
      versionNumber: this.#version(client.clientId),
    });
  }

  connectFailed(client: PresentClient): void {
    this.#announce("connect_failed", client, {
      connectFailureReason: "AUTHORIZATION_FAILED",
      ipAddress: client.ipAddress,
    });
  }

  #announce(
    eventType: "connected" | "disconnected" | "connect_failed",
    client: Omit<PresentClient, "ipAddress">,
    details: Record<string, unknown>,
  ): void {
    const event = {
      clientId: client.clientId,
      timestamp: this.#clock.now(),
      eventType,
      sessionIdentifier: client.sessionId,
      principalIdentifier: client.certificateId,
      ...details,
    };
    this.#publish(`$aws/events/presence/${eventType}/${client.clientId}`, Buffer.from(JSON.stringify(event)));
  }

  #version(clientId: string): number {
    const row = this.#database.prepare("SELECT version FROM presence WHERE client_id = ?").get(clientId);
    return Number(row?.version ?? 0);
  }

  #nextVersion(clientId: string): number {
    const row = this.#database.prepare("SELECT * FROM presence WHERE client_id = ?").get(clientId);
    if (!row) return 0;
    const away = row.connected === 0 && this.#clock.now() - Number(row.changed_at) > VERSION_RESET_MS;
    return away ? 0 : Number(row.version) + 1;
  }
}
