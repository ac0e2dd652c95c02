import { closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { FolderFileDamagedError } from "#shared/errors.ts";
import { CommandFailed, CommandSucceeded } from "#shared/protocol/events.ts";

const EndedResult = z.discriminatedUnion("type", [CommandSucceeded, CommandFailed]);
export type CommandResult = z.infer<typeof EndedResult>;

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
  readonly #path: string;
  /** Milliseconds since 1970. */
  readonly #now: () => number;

  /**
   * `path` is a file in the agent's data folder. This and each call throw `FolderFileDamagedError` for a
   * journal that is damaged: without it, a command could run twice.
   */
  constructor(path: string, now: () => number) {
    this.#now = now;
    // SQLite gives the files beside it the same permissions.
    closeSync(openSync(path, "a", 0o600));
    this.#path = path;
    this.#database = new DatabaseSync(path);
    // FULL: a published result must survive a power cut, or the work would be done again.
    this.#asking(() =>
      this.#database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS ended_commands (
        command_id TEXT PRIMARY KEY,
        content_sha256 TEXT,
        result TEXT NOT NULL,
        acknowledged_ms INTEGER
      ) STRICT;
    `),
    );
  }

  /** Keeps the first outcome of a command; later ones are ignored. */
  record({ result, contentSha256 }: EndedCommand): void {
    this.#asking(() =>
      this.#database
        .prepare(
          "INSERT INTO ended_commands (command_id, content_sha256, result) VALUES (?, ?, ?) ON CONFLICT (command_id) DO NOTHING",
        )
        .run(result.commandId, contentSha256 ?? null, JSON.stringify(result)),
    );
  }

  /** The command ended otherwise than it was recorded, and the control plane has yet to get that result. */
  replace(result: CommandResult): void {
    this.#asking(() =>
      this.#database
        .prepare("UPDATE ended_commands SET result = ?, acknowledged_ms = NULL WHERE command_id = ?")
        .run(JSON.stringify(result), result.commandId),
    );
  }

  find(commandId: string): EndedCommand | undefined {
    const row = this.#asking(() =>
      this.#database
        .prepare("SELECT result, content_sha256 FROM ended_commands WHERE command_id = ?")
        .get(commandId),
    );
    if (!row) return undefined;
    const result = EndedResult.safeParse(parsed(String(row.result)));
    if (!result.success || result.data.commandId !== commandId) throw this.#damaged();
    const contentSha256 = row.content_sha256 === null ? undefined : String(row.content_sha256);
    return { result: result.data, contentSha256 };
  }

  acknowledge(commandId: string): void {
    this.#asking(() =>
      this.#database
        .prepare(
          "UPDATE ended_commands SET acknowledged_ms = ? WHERE command_id = ? AND acknowledged_ms IS NULL",
        )
        .run(this.#now(), commandId),
    );
  }

  /**
   * Call it only when the time is known: with a wrong clock it would delete results of commands that can
   * still arrive again.
   */
  forgetOld(): void {
    this.#asking(() =>
      this.#database
        .prepare("DELETE FROM ended_commands WHERE acknowledged_ms < ?")
        .run(this.#now() - KEPT_AFTER_ACKNOWLEDGEMENT_MS),
    );
  }

  close(): void {
    this.#database.close();
  }

  #asking<T>(ask: () => T): T {
    try {
      return ask();
    } catch (error) {
      const { errcode } = error as { errcode?: number };
      if (errcode === undefined || !DAMAGE_CODES.includes(errcode & 0xff)) throw error;
      throw this.#damaged();
    }
  }

  #damaged(): FolderFileDamagedError {
    const hint =
      "Let running conversions end or cancel them, stop the agent, move the file and those beside it (-wal, -shm) away, and start the agent again. It makes a new journal.";
    return new FolderFileDamagedError(this.#path, "a journal of commands", hint);
  }
}

/**
 * SQLITE_ERROR (a table of another form), SQLITE_CORRUPT, SQLITE_MISMATCH, SQLITE_NOTADB;
 * https://www.sqlite.org/rescode.html.
 */
const DAMAGE_CODES = [1, 11, 20, 26];

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
