import { spawn } from "node:child_process";
import { LvmFailedError } from "#shared/errors.ts";
import { openDisk } from "../../disk/disk-source.ts";
import type { Machine } from "../../machine/machine.ts";
import { mappedVolume } from "../../machine/mapped-volume.ts";
import { withTimeLimit } from "../../machine/time-limit.ts";
import { allocatePages } from "../../threads/page-memory.ts";
import {
  type Lvm,
  type LvmState,
  LvmStuckError,
  SNAPSHOT_TAG,
  type SnapshotFill,
  type SnapshotOrder,
} from "./lvm.ts";
import {
  CHUNK_SECTORS,
  COLUMNS,
  keepsOnlyStart,
  parseReports,
  parseSnapshotStatus,
  TABLE_BYTES,
} from "./lvm-report.ts";

/** Far longer than LVM takes, also if it waits for another of its programs. */
const CHANGE_LIMIT_MS = 180_000;
const OUTPUT_LIMIT = 64 * 1024;

/**
 * LVM keeps no copies of its metadata of these changes: its folders may be on a volume that it suspends,
 * and an administrator's copies stay those from before the snapshots. Nothing is reported over D-Bus, whose
 * answer could wait for a suspended volume.
 */
const CONFIG = "backup { backup = 0 archive = 0 } global { notify_dbus = 0 } log { syslog = 0 }";

/** LVM's own programs. */
export class LvmTools implements Lvm {
  readonly #machine: Pick<Machine, "run">;

  constructor(machine: Pick<Machine, "run">) {
    this.#machine = machine;
  }

  async look(): Promise<LvmState | undefined> {
    const lvs = await this.#report("lvs", COLUMNS.lv, "--all");
    const vgs = lvs === undefined ? undefined : await this.#report("vgs", COLUMNS.vg);
    const pvs = vgs === undefined ? undefined : await this.#report("pvs", COLUMNS.pv);
    if (lvs === undefined || vgs === undefined || pvs === undefined) return undefined;
    try {
      return parseReports(lvs, vgs, pvs);
    } catch (cause) {
      throw new LvmFailedError("output", "it printed something unknown", { cause });
    }
  }

  async canSnapshot(): Promise<boolean> {
    // LVM loads the module, too, but only when it makes a snapshot.
    await this.#machine.run("modprobe", "--quiet", "dm-snapshot");
    const targets = await this.#machine.run("dmsetup", "targets");
    return targets?.status === 0 && /^snapshot\s/m.test(targets.output);
  }

  async create({ group, origin, name, sizeBytes }: SnapshotOrder): Promise<string> {
    const snapshot = ["--snapshot", "--permission", "r", "--name", name, "--size", `${sizeBytes}b`];
    const chunk = ["--chunksize", "4k"];
    // Not watched by dmeventd: it could begin to change the snapshot while it is being removed.
    const words = ["--yes", "--monitor", "n", "--addtag", SNAPSHOT_TAG, "--config", CONFIG];
    await change("lvcreate", [...snapshot, ...chunk, ...words, `${group}/${origin}`]);
    return mappedVolume(group, name);
  }

  remove({ group, name }: { group: string; name: string }): Promise<void> {
    return change("lvremove", ["--yes", "--config", CONFIG, `${group}/${name}`]);
  }

  async fillOf(snapshot: { group: string; name: string }): Promise<SnapshotFill> {
    const path = mappedVolume(snapshot.group, snapshot.name);
    const status = await this.#machine.run("dmsetup", "status", path);
    const kept = status?.status === 0 ? parseSnapshotStatus(status.output) : undefined;
    if (kept === undefined) throw new LvmFailedError("status", `dmsetup does not tell the state of ${path}`);
    if (kept === "lost") return "lost";
    if (kept === 0) return "empty";
    // With more, others than the first may not be in its tables yet.
    return kept === CHUNK_SECTORS && keepsOnlyStart(await beginningOf(`${path}-cow`)) ? "start" : "more";
  }

  async #report(program: string, columns: string, ...more: string[]): Promise<string | undefined> {
    const format = ["--reportformat", "json", "--units", "b", "--nosuffix", "--options", columns];
    // Reports write copies of the metadata, too.
    const config = ["--config", CONFIG];
    const result = await this.#machine.run(program, ...format, ...config, ...more);
    return result?.status === 0 ? result.output : undefined;
  }
}

/** Of the device on which a snapshot keeps what its volume had. */
async function beginningOf(path: string): Promise<Buffer> {
  const source = await openDisk(path);
  try {
    const bytes = Buffer.from(allocatePages(1), 0, TABLE_BYTES);
    await source.read(0, bytes);
    return bytes;
  } finally {
    await source.close();
  }
}

/**
 * Runs a program of LVM that changes something. It is never killed, and a signal for the agent's group does
 * not reach it: it may have suspended the volume with the root file system. Rejects with `LvmStuckError` if
 * it has not ended in time.
 */
function change(program: string, args: readonly string[]): Promise<void> {
  const running = runToItsEnd(program, args);
  return withTimeLimit(running, CHANGE_LIMIT_MS, () => {
    const ended = running.catch(() => undefined);
    throw new LvmStuckError(`${program} has not ended after ${CHANGE_LIMIT_MS / 1000} s`, ended);
  });
}

function runToItsEnd(program: string, args: readonly string[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawn(program, args, {
    env: { LC_ALL: "C", PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-OUTPUT_LIMIT);
  });
  child.on("error", (cause) => reject(new LvmFailedError("no-program", String(cause), { cause })));
  child.on("close", (status) => {
    if (status === 0) resolve();
    else
      reject(new LvmFailedError("refused", `${program}: ${errors.trim().replace(/\s+/g, " ").slice(-300)}`));
  });
  return promise;
}
