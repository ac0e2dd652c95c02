/** The examples of hooks, with the real servers under load, around a freeze of their file system. */
import { spawnSync } from "node:child_process";
import { chmod, cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { runPendingHooks, withHooks } from "#agent/hooks/hooks.ts";
import { HooksOfTest, POINT } from "#agent/hooks/testing/hooks-of-test.ts";
import { shortfallOf } from "#shared/domain/hook-shortfall.ts";
import { DatabaseLoad, storedRows } from "../site/database-load.ts";
import { freePort } from "../site/free-port.ts";
import { MariadbLoad, MariadbServer, PostgresqlServer } from "../testing/database-servers.ts";
import { FreezableDisk } from "../testing/freezable-disk.ts";
import { until } from "../testing/until.ts";

const root = join(import.meta.dirname, "../..");
const EXAMPLES = join(root, "agent/hooks/examples");
/** Its name also names the state that a hook keeps while it runs. */
const HOOK = `test-${process.pid}`;

let dir: string;
let disk: FreezableDisk;
let hooks: HooksOfTest;

beforeAll(() => {
  const { status } = spawnSync(process.execPath, [join(root, "scripts/setup.mjs"), "databases"], {
    stdio: "inherit",
  });
  if (status !== 0) throw new Error("the database servers are not installed");
});

beforeEach(async () => {
  // Servers run as users who may enter only their own folders and those of everyone.
  dir = await mkdtemp(join(tmpdir(), "causeway-databases-"));
  await chmod(dir, 0o755);
  disk = await FreezableDisk.create(join(dir, "disk.raw"), 600);
  hooks = await HooksOfTest.create();
});

afterEach(async () => {
  await disk[Symbol.asyncDispose]();
  await hooks[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

afterAll(() => rm(`/run/causeway-hook-${HOOK}`, { recursive: true, force: true }));

async function install(example: string, settings: string): Promise<void> {
  const hook = join(hooks.deps.folder, HOOK);
  await cp(join(EXAMPLES, example), hook, { recursive: true });
  await writeFile(join(hook, "settings"), `${settings}\n`);
}

describe("PostgreSQL", () => {
  const log = () => join(dir, "postgresql.log");

  async function startServer(settings: string[] = []): Promise<PostgresqlServer> {
    const port = await freePort();
    const server = await PostgresqlServer.start(disk.mountPoint, { port, isNew: true, log: log(), settings });
    await install("postgresql", `options='--host=127.0.0.1 --port=${port}'`);
    return server;
  }

  test("recovers in the copy with every row that was acknowledged before the freeze", async () => {
    await using server = await startServer();
    const load = new DatabaseLoad(server.port);
    const copy = join(dir, "copy.raw");
    await until("some rows", () => load.acknowledged > 200 || undefined);
    const { view: acknowledged, hooks: report } = await withHooks(hooks.deps, POINT, async () => {
      const before = load.acknowledged;
      await disk.copyFrozen(copy);
      return before;
    });
    await until("rows after the thaw", () => load.acknowledged > acknowledged + 50 || undefined);
    await load.stop();
    expect(shortfallOf(report)).toBeUndefined();
    // The copy names the process of the original, which must not be there when the copy is started.
    await server[Symbol.asyncDispose]();
    await using copied = await FreezableDisk.mountCopy(copy);
    const port = await freePort();
    await using clone = await PostgresqlServer.start(copied.mountPoint, { port, isNew: false, log: log() });
    const rows = new Set(await storedRows(port));
    expect(load.rows.slice(0, acknowledged).filter(({ id }) => !rows.has(id))).toEqual([]);
    // Reads the whole table and its index, and compares them.
    await clone.query("create extension amcheck; select bt_index_check('ledger_pkey', true)");
    expect(await readFile(log(), "utf8")).toContain("automatic recovery in progress");
  });

  test("without full pages in its log is not called consistent, and the run says why", async () => {
    await using _server = await startServer(["full_page_writes=off"]);
    const { hooks: report } = await withHooks(hooks.deps, POINT, async () => {});
    expect(shortfallOf(report)).toContain("full_page_writes is off");
  });

  test("that does not answer is not called consistent, and the run says why", async () => {
    await install("postgresql", `options='--host=127.0.0.1 --port=${await freePort()}'`);
    const { hooks: report } = await withHooks(hooks.deps, POINT, async () => {});
    expect(report.scripts).toMatchObject([{ outcome: "failed", reason: "it ended with status 2" }]);
    expect(shortfallOf(report)).toMatch(/onnect/);
  });
});

describe("MariaDB", () => {
  const log = () => join(dir, "mariadb.log");

  async function startServer(): Promise<MariadbServer> {
    const server = await MariadbServer.start(disk.mountPoint, { isNew: true, log: log() });
    await install("mariadb", `options='${server.options.join(" ")}'`);
    return server;
  }

  /** What `load` did up to the freeze, and what a server finds in a copy of then. */
  async function copied(load: MariadbLoad, whileFrozen = async () => {}) {
    const copy = join(dir, "copy.raw");
    await until("some rows", () => load.acknowledged > 200 || undefined);
    const { view, hooks: report } = await withHooks(hooks.deps, POINT, async () => {
      const before = load.acknowledged;
      await disk.copyFrozen(copy, whileFrozen);
      return before;
    });
    await using copiedDisk = await FreezableDisk.mountCopy(copy);
    await using clone = await MariadbServer.start(copiedDisk.mountPoint, { isNew: false, log: log() });
    const idsIn = async (table: string) =>
      new Set((await clone.query(`select id from \`load\`.${table}`)).split("\n").map(Number));
    return {
      acknowledged: view,
      report,
      check: await clone.query("check table `load`.isam medium"),
      missing: (await Promise.all([idsIn("inno"), idsIn("isam")])).map(
        (ids) => Array.from({ length: view }, (_, index) => index + 1).filter((id) => !ids.has(id)).length,
      ),
    };
  }

  const sessions = async (server: MariadbServer) =>
    (
      await server.query(
        "select command from information_schema.processlist where db is null and id <> connection_id() and user = 'root'",
      )
    )
      .split("\n")
      .filter((line) => line !== "");

  test("has in the copy every row that was acknowledged, and its tables are whole", async () => {
    await using server = await startServer();
    await using load = await MariadbLoad.start(server);
    let held: string[] = [];
    const { acknowledged, report, check, missing } = await copied(load, async () => {
      held = await sessions(server);
    });
    expect(shortfallOf(report)).toBeUndefined();
    expect(held).toEqual(["Sleep"]);
    expect(missing).toEqual([0, 0]);
    expect(check.split("\t").slice(2)).toEqual(["status", "OK"]);
    await until("rows after the thaw", () => load.acknowledged > acknowledged + 50 || undefined);
    expect(await sessions(server)).toEqual([]);
  });

  test("without its hook has tables in the copy that are not closed", async () => {
    await using server = await startServer();
    await rm(join(hooks.deps.folder, HOOK), { recursive: true });
    await using load = await MariadbLoad.start(server);
    const { report, check } = await copied(load);
    expect(shortfallOf(report)).toBe("the machine has no hooks");
    expect(check).toMatch(/not closed|hasn't closed/);
  });

  test("that keeps commits in its memory is not called consistent, and the run says why", async () => {
    await using server = await startServer();
    await server.query("set global innodb_flush_log_at_trx_commit = 0");
    const { hooks: report } = await withHooks(hooks.deps, POINT, async () => {});
    expect(shortfallOf(report)).toContain("innodb_flush_log_at_trx_commit is 0");
  });

  test("that another backup holds is not waited for, and keeps accepting rows", async () => {
    await using server = await startServer();
    await using load = await MariadbLoad.start(server);
    await until("some rows", () => load.acknowledged > 20 || undefined);
    const other = server.query("backup stage start; do sleep(15); backup stage end");
    await until("the other backup", async () =>
      (await server.query("show processlist")).includes("sleep(15)") ? true : undefined,
    );
    const { hooks: report } = await withHooks(hooks.deps, POINT, async () => {});
    expect(shortfallOf(report)).toMatch(
      /did not succeed before the freeze: it ended with status 1: ERROR 1205 .*Lock wait timeout/,
    );
    expect(report.scripts).toMatchObject([{ phase: "before" }, { phase: "after", outcome: "succeeded" }]);
    const before = load.acknowledged;
    await until("rows", () => load.acknowledged > before + 20 || undefined);
    await other;
  });

  test("whose session ended while the file systems were frozen is not called consistent", async () => {
    await using server = await startServer();
    await using load = await MariadbLoad.start(server);
    await until("some rows", () => load.acknowledged > 20 || undefined);
    const { hooks: report } = await withHooks(hooks.deps, POINT, async () => {
      const id = await server.query(
        "select id from information_schema.processlist where command = 'Sleep' and db is null and user = 'root'",
      );
      await server.query(`kill ${id}`);
    });
    expect(shortfallOf(report)).toMatch(
      /did not succeed after the thaw: .*the server could commit before the file systems were thawed/,
    );
    const before = load.acknowledged;
    await until("rows", () => load.acknowledged > before + 20 || undefined);
  });

  test("commits again by itself if nothing ends the hold", async () => {
    await using server = await startServer();
    const settings = join(hooks.deps.folder, HOOK, "settings");
    await writeFile(settings, `${await readFile(settings, "utf8")}hold_seconds=3\n`);
    await using load = await MariadbLoad.start(server);
    await until("some rows", () => load.acknowledged > 20 || undefined);
    const { hooks: report } = await withHooks(hooks.deps, POINT, async () => {
      const held = load.acknowledged;
      await until("rows although the hold was not ended", () => load.acknowledged > held + 20 || undefined);
    });
    expect(shortfallOf(report)).toMatch(/did not succeed after the thaw/);
  });

  test("commits again when an agent that was killed starts again", async () => {
    await using server = await startServer();
    await using load = await MariadbLoad.start(server);
    await until("some rows", () => load.acknowledged > 20 || undefined);
    const opened = Promise.withResolvers<void>();
    // As far as the server and the hooks see, an agent whose view never opens is one that was killed.
    void withHooks(hooks.deps, POINT, () => {
      opened.resolve();
      return new Promise<void>(() => {});
    });
    await opened.promise;
    const held = load.acknowledged;
    expect(await runPendingHooks(hooks.deps)).toBeUndefined();
    await until("rows", () => load.acknowledged > held + 20 || undefined);
  });
});
