import { Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import pg from "pg";

/** A row that the client sent. Times are milliseconds since 1970, by this computer's clock. */
export interface SentRow {
  id: number;
  sentAt: number;
  /** When the server's answer arrived; absent if none did. The row may then be stored or not. */
  acknowledgedAt?: number;
}

interface Server {
  host: string;
  port: number;
}

/** By how much a machine's clock is ahead of this computer's, in milliseconds: between these two. */
export interface ClockLead {
  least: number;
  most: number;
}

const LOOPBACK = "127.0.0.1";
const CONNECT_LIMIT_MS = 10_000;
const QUERY_LIMIT_MS = 30_000;
const END_LIMIT_MS = 1000;
const RETRY_MS = 500;
const CLOCK_QUESTIONS = 20;

/**
 * A client that inserts one row after another into a PostgreSQL server and remembers which were
 * acknowledged. It connects again after each error, so it outlives a restart of the server.
 */
export class DatabaseLoad {
  readonly #server: Server;
  readonly #pauseMs: number;
  readonly #firstId: number;
  readonly #stop = new AbortController();
  readonly #rows: SentRow[] = [];
  readonly #running: Promise<void>;

  /**
   * The table is made by the first connection. `pauseMs`: between two rows; a machine in emulation has little
   * time for anything else if there is none. `firstId`: of its rows, whose ids follow each other.
   */
  constructor(
    port: number,
    { pauseMs = 0, host = LOOPBACK, firstId = 1 }: { pauseMs?: number; host?: string; firstId?: number } = {},
  ) {
    this.#server = { port, host };
    this.#pauseMs = pauseMs;
    this.#firstId = firstId;
    this.#running = this.#run();
  }

  get rows(): readonly SentRow[] {
    return this.#rows;
  }

  get acknowledged(): number {
    return this.#rows.filter(({ acknowledgedAt }) => acknowledgedAt !== undefined).length;
  }

  /** Ends after the row that is on its way. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const socket = new Socket();
      const client = clientOf(this.#server, socket);
      // A connection that breaks between two queries is found by the next query.
      client.on("error", () => {});
      try {
        await client.connect();
        await client.query("create table if not exists ledger (id bigint primary key, note text not null)");
        while (!this.#stop.signal.aborted) {
          await this.#insert(client);
          await wait(this.#pauseMs);
        }
      } catch {
        await wait(RETRY_MS);
      } finally {
        // A server whose power was cut does not answer that it has ended, too.
        await Promise.race([client.end().catch(() => {}), wait(END_LIMIT_MS)]);
        socket.destroy();
      }
    }
  }

  async #insert(client: pg.Client): Promise<void> {
    const row: SentRow = { id: this.#firstId + this.#rows.length, sentAt: Date.now() };
    this.#rows.push(row);
    await client.query("insert into ledger values ($1, $2)", [row.id, "x".repeat(200)]);
    row.acknowledgedAt = Date.now();
  }
}

/** The ids of all rows, in order. */
export async function storedRows(port: number, host: string = LOOPBACK): Promise<number[]> {
  const client = clientOf({ port, host });
  await client.connect();
  try {
    const { rows } = await client.query<{ id: string }>("select id from ledger order by id");
    return rows.map(({ id }) => Number(id));
  } finally {
    await client.end();
  }
}

/** How far the server's clock is ahead: the closest of some questions, each in doubt by its own time. */
export async function clockLead(port: number): Promise<ClockLead> {
  const client = clientOf({ port, host: LOOPBACK });
  await client.connect();
  try {
    let closest: ClockLead | undefined;
    for (let question = 0; question < CLOCK_QUESTIONS; question++) {
      const before = Date.now();
      const { rows } = await client.query<{ ms: string }>(
        "select floor(extract(epoch from clock_timestamp()) * 1000) ms",
      );
      const there = Number(rows[0]?.ms);
      const lead = { least: there - Date.now() - 1, most: there + 1 - before };
      if (!closest || lead.most - lead.least < closest.most - closest.least) closest = lead;
    }
    return closest ?? { least: Number.NEGATIVE_INFINITY, most: Number.POSITIVE_INFINITY };
  } finally {
    await client.end();
  }
}

function clientOf({ host, port }: Server, socket = new Socket()): pg.Client {
  return new pg.Client({
    stream: () => socket,
    host,
    port,
    user: "postgres",
    database: "postgres",
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    query_timeout: QUERY_LIMIT_MS,
  });
}
