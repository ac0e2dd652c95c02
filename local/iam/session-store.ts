import { createHash } from "node:crypto";
import { chmodSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { AwsError } from "../core/aws-error.ts";
import type { Randomness } from "../core/randomness.ts";
import type { Clock, Credentials, PolicyDocument, SessionCaller } from "../core/service.ts";
import { PolicyDocumentSchema } from "./policy-document.ts";

/**
 * The record from which a session is rebuilt. The session gets the policies that its role has at that time.
 */
export interface StoredSession {
  roleArn: string;
  sessionName: string;
  secretAccessKey: string;
  sessionPolicy?: PolicyDocument;
  context: Record<string, string>;
}

const Row = z.object({
  secret: z.string(),
  tokenHash: z.string(),
  roleArn: z.string(),
  sessionName: z.string(),
  sessionPolicy: z.string().nullable(),
  context: z.string(),
  expiresAt: z.number(),
});

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS session (
    accessKeyId TEXT PRIMARY KEY, secret TEXT NOT NULL, tokenHash TEXT NOT NULL, roleArn TEXT NOT NULL,
    sessionName TEXT NOT NULL, sessionPolicy TEXT, context TEXT NOT NULL, expiresAt INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS session_expiry ON session (expiresAt);`;

/**
 * Temporary credentials that survive a restart until they expire. Only the owner can read the file, because
 * it contains signing secrets.
 */
export class SessionStore {
  readonly #database: DatabaseSync;
  readonly #clock: Clock;
  readonly #randomness: Randomness;
  /** Every signed call looks up its session, so recently used rows are cached in parsed form. */
  readonly #recent = new Map<string, { session: StoredSession; tokenHash: string; expiresAt: number }>();

  constructor(options: { file: string; clock: Clock; randomness: Randomness }) {
    this.#clock = options.clock;
    this.#randomness = options.randomness;
    this.#database = new DatabaseSync(options.file);
    if (options.file !== ":memory:") chmodSync(options.file, 0o600);
    this.#database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
    this.#database.exec(SCHEMA);
  }

  /** Creates and stores credentials for a session. */
  issue(session: SessionCaller, durationSeconds: number): Credentials {
    this.#forgetExpired();
    const credentials: Credentials = {
      accessKeyId: `ASIA${base32(this.#randomness(16)).slice(0, 16)}`,
      secretAccessKey: this.#randomness(30).toString("base64"),
      sessionToken: this.#randomness(96).toString("base64"),
      expiresAt: this.#clock.now() + durationSeconds * 1000,
    };
    this.#database
      .prepare(
        `INSERT INTO session (accessKeyId, secret, tokenHash, roleArn, sessionName, sessionPolicy, context, expiresAt)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        credentials.accessKeyId,
        credentials.secretAccessKey,
        sha256(credentials.sessionToken),
        session.roleArn,
        session.sessionName,
        session.sessionPolicy ? JSON.stringify(session.sessionPolicy) : null,
        JSON.stringify(session.context),
        credentials.expiresAt,
      );
    return credentials;
  }

  /** The session of these keys. Throws `UnrecognizedClientException` or `ExpiredTokenException`. */
  find(accessKeyId: string, sessionToken: string): StoredSession {
    const entry = this.#recent.get(accessKeyId) ?? this.#load(accessKeyId);
    if (!entry || entry.tokenHash !== sha256(sessionToken)) {
      throw new AwsError(
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
        403,
      );
    }
    if (entry.expiresAt <= this.#clock.now()) {
      throw new AwsError(
        "ExpiredTokenException",
        "The security token included in the request is expired",
        403,
      );
    }
    return entry.session;
  }

  close(): void {
    this.#database.close();
  }

  #load(accessKeyId: string) {
    const found = this.#database.prepare("SELECT * FROM session WHERE accessKeyId = ?").get(accessKeyId);
    if (!found) return undefined;
    const row = Row.parse(found);
    const session: StoredSession = {
      roleArn: row.roleArn,
      sessionName: row.sessionName,
      secretAccessKey: row.secret,
      ...(row.sessionPolicy !== null && {
        sessionPolicy: PolicyDocumentSchema.parse(JSON.parse(row.sessionPolicy)),
      }),
      context: z.record(z.string(), z.string()).parse(JSON.parse(row.context)),
    };
    const entry = { session, tokenHash: row.tokenHash, expiresAt: row.expiresAt };
    this.#recent.set(accessKeyId, entry);
    return entry;
  }

  /**
   * Deletes sessions an hour after they expire. Until then a late caller gets the error that its token has
   * expired, not that it is unknown.
   */
  #forgetExpired(): void {
    const before = this.#clock.now() - 3_600_000;
    this.#database.prepare("DELETE FROM session WHERE expiresAt < ?").run(before);
    for (const [accessKeyId, { expiresAt }] of this.#recent) {
      if (expiresAt < before) this.#recent.delete(accessKeyId);
    }
  }
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Access key ids are upper case letters and the digits 2 to 7. */
function base32(bytes: Buffer): string {
  return [...bytes].map((byte) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[byte % 32]).join("");
}
