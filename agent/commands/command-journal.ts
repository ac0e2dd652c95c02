import { closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { AgentEvent } from "#shared/protocol/events.ts";

export type CommandResult = Extract<AgentEvent, { type: "command-succeeded" | "command-failed" }>;

/** A message can be this late and still find that its command has run. */
const KEPT_AFTER_ACKNOWLEDGEMENT_MS = 30 * 24 * 3600 * 1000;

/**
 * The results of finished commands. A command that comes again is answered from here, so that it never runs twice, whatever was killed, lost
 * or late in between. Results that the control plane has acknowledged are forgotten after a month.
 */
export class CommandJournal {
  readonly #database: DatabaseSync;

  readonly #now: () => Date;

  /** `path` is a file in the agent's data folder. */
  constructor(path: string, now: () => Date) {
    this.#now = now;
    // SQLite gives what it puts beside the file the same rights.
    closeSync(openSync(path, "a", 0o600));
    this.#database = new DatabaseSync(path);
    // FULL: a result that was announced must survive a power cut, or the work would be done again.
    this.#database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS results (
        command_id TEXT PRIMARY KEY,
        result TEXT NOT NULL,
        acknowledged_ms INTEGER
      ) STRICT;
    `);
    this.#database
      .prepare("DELETE FROM results WHERE acknowledged_ms < ?")
      .run(now().getTime() - KEPT_AFTER_ACKNOWLEDGEMENT_MS);
  }

  record(result: CommandResult): void {
    this.#database
      .prepare("INSERT INTO results (command_id, result) VALUES (?, ?) ON CONFLICT (command_id) DO NOTHING")
      .run(result.commandId, JSON.stringify(result));
  }

  resultOf(commandId: string): CommandResult | undefined {
    const row = this.#database.prepare("SELECT result FROM results WHERE command_id = ?").get(commandId);
    return row ? (JSON.parse(String(row.result)) as CommandResult) : undefined;
  }

  acknowledge(commandId: string): void {
    this.#database
      .prepare("UPDATE results SET acknowledged_ms = ? WHERE command_id = ? AND acknowledged_ms IS NULL")
      .run(this.#now().getTime(), commandId);
  }

  close(): void {
    this.#database.close();
  }
}
