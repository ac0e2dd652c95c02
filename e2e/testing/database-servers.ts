/** Database servers of Debian's packages, each as an instance of its own that no service knows. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, readdirSync } from "node:fs";
import { chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { runTool } from "./run-tool.ts";
import { until } from "./until.ts";

interface User {
  uid: number;
  gid: number;
}

function userOf(name: string): User {
  const id = (option: string) => Number(execFileSync("id", [option, name], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/** A server's process, run by a user who is not root. */
class Server implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  readonly #stopSignal: NodeJS.Signals;

  constructor(
    program: string,
    args: readonly string[],
    { user, log, stopSignal }: { user: User; log: string; stopSignal: NodeJS.Signals },
  ) {
    this.#stopSignal = stopSignal;
    this.#child = spawn(program, args, { ...user, cwd: "/", stdio: ["ignore", "pipe", "pipe"] });
    this.#exited = once(this.#child, "exit");
    const file = createWriteStream(log, { flags: "a" });
    this.#child.stdout?.pipe(file);
    this.#child.stderr?.pipe(file);
  }

  /** Waits until the server answers; rejects if it ends instead. */
  async ready(name: string, answers: () => Promise<unknown>): Promise<void> {
    await until(`${name} to answer`, async () => {
      if (this.#child.exitCode !== null) throw new Error(`${name} ended with ${this.#child.exitCode}`);
      return answers().then(
        () => true,
        () => undefined,
      );
    });
  }

  /** Ends the server as an operator does. May be called again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill(this.#stopSignal);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 60_000);
    await this.#exited;
    clearTimeout(timer);
  }
}

/** A folder of the user, which the server fills. */
async function ownFolder(path: string, { uid, gid }: User): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chown(path, uid, gid);
  return path;
}

const POSTGRESQL = "/usr/lib/postgresql";

export class PostgresqlServer implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;

  private constructor(port: number, server: Server) {
    this.port = port;
    this.#server = server;
  }

  /**
   * Starts a server on `disk`/postgresql, where it makes a cluster if there is none. Every local user may be
   * `postgres` there, who may do anything.
   */
  static async start(
    disk: string,
    { port, isNew, log, settings = [] }: { port: number; isNew: boolean; log: string; settings?: string[] },
  ): Promise<PostgresqlServer> {
    const user = userOf("postgres");
    const data = join(disk, "postgresql");
    const bin = join(POSTGRESQL, readdirSync(POSTGRESQL).sort().at(-1) ?? "", "bin");
    if (isNew) {
      await ownFolder(data, user);
      await runTool(
        "runuser",
        "-u",
        "postgres",
        "--",
        join(bin, "initdb"),
        "--auth=trust",
        "-U",
        "postgres",
        "-D",
        data,
      );
    }
    const options = [`port=${port}`, "listen_addresses=127.0.0.1", "unix_socket_directories=", ...settings];
    const args = ["-D", data, ...options.flatMap((option) => ["-c", option])];
    const started = new PostgresqlServer(
      port,
      new Server(join(bin, "postgres"), args, { user, log, stopSignal: "SIGINT" }),
    );
    await started.#server.ready("PostgreSQL", () => started.query("select 1"));
    return started;
  }

  async query(sql: string): Promise<string> {
    const target = ["-h", "127.0.0.1", "-p", String(this.port), "-U", "postgres", "-d", "postgres"];
    return (await runTool("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", ...target, "-c", sql)).trim();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]();
  }
}

export class MariadbServer implements AsyncDisposable {
  /** How a client connects. */
  readonly options: readonly string[];
  readonly #server: Server;

  private constructor(options: readonly string[], server: Server) {
    this.options = options;
    this.#server = server;
  }

  /** Starts a server on `disk`/mariadb; every local user may be `root` there. */
  static async start(disk: string, { isNew, log }: { isNew: boolean; log: string }): Promise<MariadbServer> {
    const user = userOf("daemon");
    const data = join(disk, "mariadb");
    if (isNew) {
      await ownFolder(data, user);
      const how = ["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"];
      await runTool("mariadb-install-db", ...how, "--user=daemon", `--datadir=${data}`);
    }
    const socket = join(await ownFolder(join(disk, "socket"), user), "mariadb");
    const args = ["--no-defaults", `--datadir=${data}`, `--socket=${socket}`, "--skip-networking"];
    // Commits are only in the kernel's memory at first; a table that is opened is not repaired.
    const server = new Server(
      "/usr/sbin/mariadbd",
      [...args, "--innodb-flush-log-at-trx-commit=2", "--myisam-recover-options=OFF"],
      { user, log, stopSignal: "SIGTERM" },
    );
    const started = new MariadbServer(["--no-defaults", `--socket=${socket}`, "--user=root"], server);
    await server.ready("MariaDB", () => started.query("select 1"));
    return started;
  }

  async query(sql: string): Promise<string> {
    return (await runTool("mariadb", ...this.options, "--batch", "--skip-column-names", "-e", sql)).trim();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]();
  }
}

/** A client that inserts one row after another into a table of InnoDB and one of MyISAM. */
export class MariadbLoad implements AsyncDisposable {
  sent = 0;
  /** How many rows, from the first on, the server acknowledged in both tables. */
  acknowledged = 0;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #isStopping = false;

  private constructor(options: readonly string[]) {
    this.#child = spawn("mariadb", [...options, "--batch", "--skip-column-names", "--unbuffered", "load"], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#exited = once(this.#child, "exit");
  }

  static async start(server: MariadbServer): Promise<MariadbLoad> {
    const columns = "(id int primary key, note varchar(250), key (note))";
    await server.query(
      `create database if not exists \`load\`; create table \`load\`.inno ${columns} engine=InnoDB; create table \`load\`.isam ${columns} engine=MyISAM`,
    );
    const load = new MariadbLoad(server.options);
    if (load.#child.stdout)
      createInterface({ input: load.#child.stdout }).on("line", (line) => {
        load.acknowledged = Number(line);
        load.#send();
      });
    load.#send();
    return load;
  }

  #send(): void {
    if (this.#isStopping) return;
    const id = ++this.sent;
    const row = `(${id}, concat(${id}, repeat('x', 200)))`;
    this.#child.stdin?.write(
      `insert into inno values ${row}; insert into isam values ${row}; select ${id};\n`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    this.#child.stdin?.end();
    await this.#exited;
  }
}
