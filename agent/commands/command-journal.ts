import { closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { AgentEvent } from "#shared/protocol/events.ts";

export type CommandResult = Extract<AgentEvent, { type: "command-succeeded" | "command-failed" }>;

/** How a command ended. */
export interface EndedCommand {
  result: CommandResult;
  /** Names what was asked under this id; absent if it was cancelled. */
  contentSha256?: string | undefined;
}

/** How late a message still finds that its command has run. No signature is good for nearly as long. */
const KEPT_AFTER_ACKNOWLEDGEMENT_MS = 30 * 24 * 3600 * 1000;

/**
 * The results of ended commands. A command that comes again is answered from here, so it never runs twice:
 * not after a crash, not when a message was lost or late, and not when a recorded message is published once
 * more. Results that the control plane has acknowledged are forgotten after a month.
 */
export class CommandJournal {
  readonly #database: DatabaseSync;
  /** Milliseconds since 1970. */
  readonly #now: () => number;

  /** `path` is a file in the agent's data folder. */
  constructor(path: string, now: () => number) {
    this.#now = now;
    // SQLite gives what it puts beside the file the same rights.
    closeSync(openSync(path, "a", 0o600));
    this.#database = new DatabaseSync(path);
    // FULL: a result that was announced must survive a power cut, or the work would be done again.
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

  /** The first end of a command is its end. */
  record({ result, contentSha256 }: EndedCommand): void {
    this.#database
      .prepare(
        "INSERT INTO ended_commands (command_id, content_sha256, result) VALUES (?, ?, ?) ON CONFLICT (command_id) DO NOTHING",
      )
      .run(result.commandId, contentSha256 ?? null, JSON.stringify(result));
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

  /** Call it when the time is known: by a wrong clock it would forget what can still come again. */
  forgetOld(): void {
    this.#database
      .prepare("DELETE FROM ended_commands WHERE acknowledged_ms < ?")
      .run(this.#now() - KEPT_AFTER_ACKNOWLEDGEMENT_MS);
  }

  close(): void {
    this.#database.close();
  }
}
