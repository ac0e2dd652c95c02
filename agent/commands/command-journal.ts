import { closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { AgentEvent } from "#shared/protocol/events.ts";

export type CommandResult = Extract<AgentEvent, { type: "command-succeeded" | "command-failed" }>;

/** A command's outcome. */
export interface EndedCommand {
  result: CommandResult;
  /** The hash of the command that had this id; absent if it was cancelled. */
  contentSha256?: string | undefined;
}

/**
 * How long a late message is still recognised as a command that has run. No signature is valid for nearly as
 * long.
 */
const KEPT_AFTER_ACKNOWLEDGEMENT_MS = 30 * 24 * 3600 * 1000;

/**
 * The results of ended commands. A command that arrives again is answered from here, so it never runs twice:
 * not after a crash, not when a message was lost or late, and not when a recorded message is published again.
 * Results that the control plane has acknowledged are deleted after a month.
 */
export class CommandJournal {
  readonly #database: DatabaseSync;
  /** Milliseconds since 1970. */
  readonly #now: () => number;

  /** `path` is a file in the agent's data folder. */
  constructor(path: string, now: () => number) {
    this.#now = now;
    // SQLite gives the files beside it the same permissions.
    closeSync(openSync(path, "a", 0o600));
    this.#database = new DatabaseSync(path);
    // FULL: a published result must survive a power cut, or the work would be done again.
    this.#database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS ended_commands (
        command_id TEXT PRIMARY KEY,
        content_sha256 TEXT,
        result TEXT NOT NULL,
        acknowledged_ms INTEGER
      ) STRICT;
    `);
  }

  /** Keeps the first outcome of a command; later ones are ignored. */
  record({ result, contentSha256 }: EndedCommand): void {
    this.#database
      .prepare(
        "INSERT INTO ended_commands (command_id, content_sha256, result) VALUES (?, ?, ?) ON CONFLICT (command_id) DO NOTHING",
      )
      .run(result.commandId, contentSha256 ?? null, JSON.stringify(result));
  }

  /** The command ended otherwise than it was recorded, and the control plane has yet to get that result. */
  replace(result: CommandResult): void {
    this.#database
      .prepare("UPDATE ended_commands SET result = ?, acknowledged_ms = NULL WHERE command_id = ?")
      .run(JSON.stringify(result), result.commandId);
  }

  find(commandId: string): EndedCommand | undefined {
    const row = this.#database
      .prepare("SELECT result, content_sha256 FROM ended_commands WHERE command_id = ?")
      .get(commandId);
    if (!row) return undefined;
    const contentSha256 = row.content_sha256 === null ? undefined : String(row.content_sha256);
    return { result: JSON.parse(String(row.result)) as CommandResult, contentSha256 };
  }

  acknowledge(commandId: string): void {
    this.#database
      .prepare(
        "UPDATE ended_commands SET acknowledged_ms = ? WHERE command_id = ? AND acknowledged_ms IS NULL",
      )
      .run(this.#now(), commandId);
  }

  /**
   * Call it only when the time is known: with a wrong clock it would delete results of commands that can
   * still arrive again.
   */
  forgetOld(): void {
    this.#database
      .prepare("DELETE FROM ended_commands WHERE acknowledged_ms < ?")
      .run(this.#now() - KEPT_AFTER_ACKNOWLEDGEMENT_MS);
  }

  close(): void {
    this.#database.close();
  }
}
