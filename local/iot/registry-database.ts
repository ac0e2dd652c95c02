import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { openDatabase } from "./database.ts";

/** Things, certificates and their attachments. It is durable, because a loss would lock a device out. */
export function openRegistryDatabase(directory: string): DatabaseSync {
  return openDatabase(
    join(directory, "registry.sqlite"),
    `CREATE TABLE IF NOT EXISTS things (
       name TEXT PRIMARY KEY, id TEXT NOT NULL, attributes TEXT NOT NULL, version INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE IF NOT EXISTS certificates (
       id TEXT PRIMARY KEY, pem TEXT NOT NULL, status TEXT NOT NULL,
       created_at INTEGER NOT NULL, changed_at INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE IF NOT EXISTS thing_principals (
       thing TEXT NOT NULL, certificate_id TEXT NOT NULL, PRIMARY KEY (thing, certificate_id)
     ) STRICT;
     CREATE TABLE IF NOT EXISTS policy_attachments (
       policy TEXT NOT NULL, certificate_id TEXT NOT NULL, PRIMARY KEY (policy, certificate_id)
     ) STRICT;
     CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`,
    "durable",
  );
}
