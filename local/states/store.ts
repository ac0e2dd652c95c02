import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import type { Execution } from "./execution.ts";
import { INDEXES, SCHEMA, SCHEMA_VERSION } from "./schema.ts";
import type { Outcome, RecordedEvent } from "./transition.ts";

export type Status = "RUNNING" | Outcome["status"];

export interface MachineRecord {
  arn: string;
  name: string;
  createdAt: number;
  /** Row of the revision that new executions run. */
  revision: number;
  revisionId: string;
  definition: string;
  roleArn: string;
}

export interface ExecutionRecord {
  /** Row number, in order of starting. */
  id: number;
  arn: string;
  name: string;
  machineArn: string;
  status: Status;
  startedAt: number;
  stoppedAt: number | null;
  /** JSON, as given. */
  input: string;
  output: string | null;
  error: string | null;
  cause: string | null;
}

export interface RunningRecord {
  execution: Execution;
  /** The definition that the execution started with. */
  definition: string;
}

export interface Commit {
  execution: Execution;
  events: readonly RecordedEvent[];
  newTokens: readonly string[];
  outcome: Outcome | undefined;
  now: number;
}

/** The task that started an execution. */
export interface Parent {
  arn: string;
  taskId: number;
}

export interface EventRow {
  id: number;
  previousEventId: number;
  at: number;
  type: string;
  /** The rest of the event, as JSON. */
  details: string;
}

type RunningRow = Omit<Execution, "input" | "frames"> & { input: string; frames: string; definition: string };

/** Executions, their history and the machines, in one SQLite file. Every write is one durable transaction. */
export class Store {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #onEntered: () => void;

  /** `onEntered` is called for each state that an execution enters. */
  constructor(file: string, onEntered: () => void = () => {}) {
    this.#onEntered = onEntered;
    this.#db = new DatabaseSync(file);
    // FULL: an answered SendTaskSuccess must survive a power loss, because no client sends it twice.
    this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
    const version = this.#get<{ user_version: number }>("PRAGMA user_version")?.user_version ?? 0;
    if (version !== 0 && version !== SCHEMA_VERSION) {
      this.#db.close();
      throw new Error(`${file} was written by another version of the embedded cloud (schema ${version})`);
    }
    this.#db.exec(`${SCHEMA};${INDEXES};PRAGMA user_version = ${SCHEMA_VERSION}`);
  }

  /** Creates a machine or a new revision. Keeps the revision if definition and role are the same. */
  putMachine(machine: Omit<MachineRecord, "revision">): void {
    this.#transaction(() => {
      const existing = this.machine(machine.arn);
      if (existing?.definition === machine.definition && existing.roleArn === machine.roleArn) return;
      const { arn, name, createdAt, revisionId, definition, roleArn } = machine;
      this.#run(
        "INSERT OR IGNORE INTO machines (arn, name, created_at) VALUES (?, ?, ?)",
        arn,
        name,
        createdAt,
      );
      this.#run(
        "INSERT INTO revisions (machine_arn, revision_id, definition, role_arn) VALUES (?, ?, ?, ?)",
        arn,
        revisionId,
        definition,
        roleArn,
      );
    });
  }

  machine(arn: string): MachineRecord | undefined {
    return this.#get<MachineRecord>(`${MACHINES} AND m.arn = ?`, arn);
  }

  /** In order of name, beginning after `afterName`. */
  machines(afterName: string, limit: number): MachineRecord[] {
    return this.#all<MachineRecord>(`${MACHINES} AND m.name > ? ORDER BY m.name LIMIT ?`, afterName, limit);
  }

  insertExecution(commit: Commit, input: string, revision: number, parent?: Parent): void {
    const { execution } = commit;
    this.#transaction(() => {
      this.#run(
        `INSERT INTO executions
         (arn, name, machine_arn, revision, status, started_at, input, parent_arn, parent_task)
         VALUES (?, ?, ?, ?, 'RUNNING', ?, ?, ?, ?)`,
        execution.arn,
        execution.name,
        execution.machineArn,
        revision,
        execution.startedAt,
        input,
        parent?.arn ?? null,
        parent?.taskId ?? null,
      );
      this.#write(commit);
    });
  }

  /** Writes one transition: all of it or nothing. */
  commit(commit: Commit): void {
    this.#transaction(() => this.#write(commit));
  }

  #write({ execution, events, newTokens, outcome, now }: Commit): void {
    const { arn } = execution;
    for (const { id, previousEventId, at, type, ...details } of events) {
      if (type.endsWith("StateEntered")) this.#onEntered();
      this.#run(
        "INSERT INTO events (execution_arn, id, previous_id, at, type, details) VALUES (?, ?, ?, ?, ?, ?)",
        arn,
        id,
        previousEventId,
        at,
        type,
        JSON.stringify(details),
      );
    }
    for (const token of newTokens) {
      this.#run("INSERT INTO tokens (token, execution_arn) VALUES (?, ?)", token, arn);
    }
    if (!outcome) {
      this.#run("UPDATE executions SET frames = ? WHERE arn = ?", JSON.stringify(execution.frames), arn);
      return;
    }
    this.#run(
      `UPDATE executions SET frames = NULL, status = ?, stopped_at = ?, output = ?, error = ?, cause = ?
       WHERE arn = ?`,
      outcome.status,
      now,
      outcome.output === undefined ? null : JSON.stringify(outcome.output),
      outcome.error ?? null,
      outcome.cause ?? null,
      arn,
    );
  }

  execution(arn: string): ExecutionRecord | undefined {
    return this.#get<ExecutionRecord>(`${EXECUTIONS} WHERE arn = ?`, arn);
  }

  /** The newest first, beginning after the row `before`. */
  executions(
    machineArn: string,
    status: Status | undefined,
    before: number,
    limit: number,
  ): ExecutionRecord[] {
    return this.#all<ExecutionRecord>(
      `${EXECUTIONS} WHERE machine_arn = ? AND id < ? AND (? IS NULL OR status = ?) ORDER BY id DESC LIMIT ?`,
      machineArn,
      before,
      status ?? null,
      status ?? null,
      limit,
    );
  }

  runningArns(): string[] {
    const sql = "SELECT arn FROM executions WHERE status = 'RUNNING' ORDER BY id";
    return this.#all<{ arn: string }>(sql).map(({ arn }) => arn);
  }

  /** Makes a running execution the child of a task that asked for the same execution. */
  adopt(arn: string, { arn: parentArn, taskId }: Parent): void {
    this.#transaction(() =>
      this.#run(
        "UPDATE executions SET parent_arn = ?, parent_task = ? WHERE arn = ?",
        parentArn,
        taskId,
        arn,
      ),
    );
  }

  /** The execution that a task has started, running or not. */
  childOf({ arn, taskId }: Parent): ExecutionRecord | undefined {
    return this.#get<ExecutionRecord>(`${EXECUTIONS} WHERE parent_arn = ? AND parent_task = ?`, arn, taskId);
  }

  /** The tasks that have started executions which still run. */
  parentsOfRunning(): Parent[] {
    return this.#all<Parent>(
      `SELECT DISTINCT parent_arn AS arn, parent_task AS taskId FROM executions
       WHERE status = 'RUNNING' AND parent_arn IS NOT NULL`,
    );
  }

  /** The machine and role of an execution, running or not. */
  owner(arn: string): Pick<Execution, "arn" | "name" | "machineArn" | "roleArn"> | undefined {
    return this.#get(
      `SELECT e.arn, e.name, e.machine_arn AS machineArn, r.role_arn AS roleArn
       FROM executions e JOIN revisions r ON r.id = e.revision WHERE e.arn = ?`,
      arn,
    );
  }

  /** The data needed to continue an execution. Returns `undefined` if it has ended or never existed. */
  running(arn: string): RunningRecord | undefined {
    const row = this.#get<RunningRow>(
      `SELECT e.arn, e.name, e.machine_arn AS machineArn, m.name AS machineName, r.role_arn AS roleArn, e.input,
              e.frames, e.started_at AS startedAt, r.definition,
              (SELECT COALESCE(MAX(id), 0) FROM events WHERE execution_arn = e.arn) AS eventCount
       FROM executions e JOIN revisions r ON r.id = e.revision JOIN machines m ON m.arn = e.machine_arn
       WHERE e.arn = ? AND e.status = 'RUNNING'`,
      arn,
    );
    if (!row) return undefined;
    const { definition, input, frames, ...rest } = row;
    return { execution: { ...rest, input: JSON.parse(input), frames: JSON.parse(frames) }, definition };
  }

  executionOfToken(token: string): string | undefined {
    const sql = "SELECT execution_arn AS arn FROM tokens WHERE token = ?";
    return this.#get<{ arn: string }>(sql, token)?.arn;
  }

  /** Events in order, or newest first, beginning after the event `from`. */
  history(arn: string, from: number, limit: number, newestFirst: boolean): EventRow[] {
    const order = newestFirst ? "id < ? ORDER BY id DESC" : "id > ? ORDER BY id";
    return this.#all<EventRow>(
      `SELECT id, previous_id AS previousEventId, at, type, details FROM events
       WHERE execution_arn = ? AND ${order} LIMIT ?`,
      arn,
      from,
      limit,
    );
  }

  /** Deletes executions that ended before this time, and revisions that no execution uses. */
  prune(endedBefore: number): void {
    this.#transaction(() => {
      this.#run("DELETE FROM executions WHERE stopped_at < ?", endedBefore);
      this.#run(
        `DELETE FROM revisions WHERE id NOT IN (SELECT revision FROM executions)
         AND id NOT IN (SELECT MAX(id) FROM revisions GROUP BY machine_arn)`,
      );
    });
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  #transaction(work: () => void): void {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#db.exec("COMMIT");
    } catch (error) {
      // SQLite has already rolled back by itself after some errors, such as a full disk.
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#statement(sql).run(...values);
  }
  #get<T>(sql: string, ...values: SQLInputValue[]): T | undefined {
    return this.#statement(sql).get(...values) as T | undefined;
  }
  #all<T>(sql: string, ...values: SQLInputValue[]): T[] {
    return this.#statement(sql).all(...values) as T[];
  }
  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

const MACHINES = `SELECT m.arn, m.name, m.created_at AS createdAt, r.id AS revision, r.revision_id AS revisionId,
  r.definition, r.role_arn AS roleArn FROM machines m JOIN revisions r ON r.machine_arn = m.arn
  WHERE r.id = (SELECT MAX(id) FROM revisions WHERE machine_arn = m.arn)`;

const EXECUTIONS = `SELECT id, arn, name, machine_arn AS machineArn, status, started_at AS startedAt,
  stopped_at AS stoppedAt, input, output, error, cause FROM executions`;
