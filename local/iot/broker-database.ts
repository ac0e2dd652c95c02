import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { openDatabase } from "./database.ts";

/**
 * Persistent sessions, their queued messages, and connected clients. It is fast rather than durable, because
 * every message writes to it.
 */
export function openBrokerDatabase(directory: string): DatabaseSync {
  return openDatabase(
    join(directory, "broker.sqlite"),
    `CREATE TABLE IF NOT EXISTS sessions (client_id TEXT PRIMARY KEY, disconnected_at INTEGER) STRICT;
     CREATE TABLE IF NOT EXISTS subscriptions (
       client_id TEXT NOT NULL, filter TEXT NOT NULL, qos INTEGER NOT NULL, PRIMARY KEY (client_id, filter)
     ) STRICT;
     CREATE TABLE IF NOT EXISTS queued (
       sequence INTEGER PRIMARY KEY AUTOINCREMENT, client_id TEXT NOT NULL,
       broker_id TEXT NOT NULL, broker_counter INTEGER NOT NULL,
       message_id INTEGER, sent INTEGER NOT NULL DEFAULT 0,
       topic TEXT NOT NULL, payload BLOB NOT NULL, qos INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX IF NOT EXISTS queued_by_client ON queued (client_id, broker_id, broker_counter);
     CREATE TABLE IF NOT EXISTS presence (
       client_id TEXT PRIMARY KEY, version INTEGER NOT NULL, connected INTEGER NOT NULL,
       session_id TEXT NOT NULL, certificate_id TEXT NOT NULL, changed_at INTEGER NOT NULL
     ) STRICT;`,
    "quick",
  );
}
