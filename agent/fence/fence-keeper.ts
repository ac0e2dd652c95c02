import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout } from "node:timers/promises";
import * as z from "zod";
import { Fence, fencedFor, unfencedAfter } from "#shared/domain/fence.ts";
import {
  FenceIncompleteError,
  FenceInterruptedError,
  FenceNotUpError,
  failureOf,
  HypervisorFailedError,
} from "#shared/errors.ts";
import { Timestamp } from "#shared/protocol/common.ts";
import { BrokenFence } from "#shared/protocol/fence.ts";
import type { Systemctl } from "../hypervisor/qemu/service/systemctl.ts";
import { DataFile } from "../identity/identity.ts";
import {
  dropInText,
  type FencePlaces,
  fencePlaces,
  markerText,
  noticeText,
  returnDropIn,
  returnNotice,
} from "./fence-files.ts";
import { lockFence } from "./fence-lock.ts";
import { fencedUnits, startUnit, UnitName } from "./fenced-units.ts";
import { hasProcesses as kernelHasProcesses } from "./left-processes.ts";
import { put, putLink, removeDropIn, removeFiles, removeMarker } from "./placed-files.ts";
import { isActive, type ShownUnit, shownUnits } from "./shown-units.ts";

/** What a service's last processes may take to end once it has stopped. */
const LAST_LIMIT_MS = 1000;
const LAST_PAUSE_MS = 100;

/**
 * Where the boot environment leaves a file if the source is to be fenced at its return, and the file system
 * with it, which is mounted before any service starts.
 */
const ReturnMarker = z.object({ path: z.string(), mountPoint: z.string() });
type ReturnMarker = z.infer<typeof ReturnMarker>;

/** The fence as it survives a restart. */
export const FenceState = Fence.extend({
  since: Timestamp.optional(),
  reason: z.string().optional(),
  /** What is kept down: services, and the sockets and paths that would start one. */
  services: z.array(UnitName).default([]),
  /** Whether it is up after a restart, too. */
  lasting: z.boolean().default(true),
  /** Whether its services may have run since it was put up: while it did not last, the source restarted. */
  interrupted: z.boolean().default(false),
  /** What ran when the fence was put up, of these and of what systemd stops with them, until it is down. */
  stopped: z.array(UnitName).default([]),
  /** Those that could not be stopped when the fence was put up the last time: they may run. */
  unstopped: z.array(UnitName).default([]),
  /** The control groups of those of them that ran: systemd forgets them with the stop. */
  groups: z.record(UnitName, z.string()).default({}),
  /** The last one that a person at the console broke. */
  broken: BrokenFence.optional(),
  /** Of the lease for which the source was to restart into its boot environment last. */
  returning: ReturnMarker.extend({ term: z.int().positive() }).optional(),
});
export type FenceState = z.infer<typeof FenceState>;

export interface FenceDeps {
  dataDir: string;
  systemctl: Systemctl;
  now: () => Date;
  /** Tests have other ones. */
  etc?: string;
  run?: string;
  lock?: typeof lockFence;
  hasProcesses?: (controlGroup: string) => Promise<boolean>;
  isMountPoint?: (path: string) => Promise<boolean>;
}

/** See the command `set-fence`. */
interface FenceWish {
  term: number;
  isUp: boolean;
  reason: string;
  lasting: boolean;
  mustBeUp: boolean;
}

interface PreparedReturn {
  services: string[];
  notice: string;
}

interface WantedFence extends Pick<FenceWish, "term" | "reason" | "lasting"> {
  interrupted: boolean;
}

/**
 * Keeps the services of a fenced source down without the agent: each has a condition on one file. A fence
 * that lasts has its files in `/etc`. Another one has them in `/run`, so a copy of the disks has none, and a
 * restart removes them; if that leads into the boot environment, that decides whether the source is fenced at
 * its return. Each call may be repeated after an interruption. One that changes the fence waits for another
 * one, of this process or of another.
 */
export class FenceKeeper {
  readonly #deps: FenceDeps;
  readonly #file: DataFile<FenceState>;
  readonly #lasting: FencePlaces;
  readonly #untilRestart: FencePlaces;
  readonly #etc: string;

  constructor(deps: FenceDeps) {
    this.#deps = deps;
    this.#file = new DataFile(deps.dataDir, "fence.json", FenceState);
    this.#etc = deps.etc ?? "/etc";
    this.#lasting = fencePlaces(this.#etc);
    this.#untilRestart = fencePlaces(deps.run ?? "/run");
  }

  async read(): Promise<FenceState> {
    return (await this.#file.read()) ?? FenceState.parse({ term: 0, isUp: false });
  }

  /**
   * When the agent starts: puts a fence up again that is up, and finishes what was interrupted. One that the
   * boot environment did not extend ended with the restart: nothing runs in the source's place.
   */
  async resume(services: readonly string[]): Promise<void> {
    using _lock = await this.#lock();
    const before = await this.read();
    if (before.isUp && (await this.#hasEnded(before))) await this.#lower({ ...before, isUp: false });
    else if (before.isUp) await this.#raise(before, await this.#asNow(before), services);
    else if (isUnfinished(before)) await this.#lower(before);
  }

  /**
   * Puts the fence up or takes it down, unless a later term is known. Returns what holds now. Does what
   * it can for each service; throws `FenceIncompleteError` if that was not everything, and
   * `FenceInterruptedError` if one that is up is to last, or was to be up, and its services may have run.
   */
  async set(
    { term, isUp, reason, lasting, mustBeUp }: FenceWish,
    services: readonly string[],
  ): Promise<FenceState> {
    using _lock = await this.#lock();
    const before = await this.read();
    const isRepeated = before.isUp && before.term === term;
    if (isUp && mustBeUp && !isRepeated) throw new FenceInterruptedError();
    if (term < before.term) return before;
    const next = (isUp ? fencedFor : unfencedAfter)(before, term);
    if (next.isUp) {
      if (isRepeated && (mustBeUp || (lasting && !before.lasting))) await this.#requireQuiet(before);
      const wanted = { term, reason, lasting: lasting || (isRepeated && before.lasting) };
      // The lock ends with this call, so it waits.
      return await this.#raise(before, { ...wanted, interrupted: false }, services);
    }
    return next !== before || isUnfinished(before) ? await this.#lower({ ...before, ...next }) : before;
  }

  /**
   * Before the source restarts into its boot environment: what this fence keeps down does not start at the
   * return either, if the boot environment makes the file `marker.path`, and the console shows what that
   * leaves beside it. Until then nothing of that is in force, so a copy of the disks is not fenced. Returns
   * what is kept down, and what the console is to show. Throws `FenceInterruptedError` unless the fence of
   * this term is up and its services are quiet, and `FenceIncompleteError`.
   */
  async prepareReturn(term: number, marker: ReturnMarker): Promise<PreparedReturn> {
    using _lock = await this.#lock();
    const before = await this.read();
    if (!before.isUp || before.term !== term) throw new FenceInterruptedError();
    await this.#requireQuiet(before);
    await this.#file.write({ ...before, returning: { ...marker, term } });
    const { services, since = "", reason = "" } = before;
    const cleared = await tryEach([marker.path], removeMarker);
    const conditions = await tryEach(services, (unit) =>
      put(returnDropIn(this.#etc, unit), dropInText(marker.path)),
    );
    const links = await tryEach(this.#lasting.notices, (path) => putLink(path, returnNotice(marker.path)));
    const failures = new Map([...cleared, ...conditions, ...links]);
    if (failures.size > 0) throw new FenceIncompleteError("up", failures);
    const { dataDir } = this.#deps;
    return { services, notice: noticeText({ since, reason, services, unstopped: [], dataDir }) };
  }

  /**
   * By a person at the console, who says that the machine in its place is off. Throws `FenceNotUpError`,
   * and `FenceIncompleteError` if the fence is down but not every service started.
   */
  async break(by: string): Promise<FenceState> {
    // A data folder that was mistyped is not made for its lock.
    await this.#requireBreakable(await this.read());
    using _lock = await this.#lock();
    const before = await this.read();
    await this.#requireBreakable(before);
    const { term } = before;
    const isRepeated = before.broken?.term === term;
    const broken = isRepeated ? before.broken : { term, at: this.#deps.now().toISOString(), by };
    return await this.#lower({ ...before, isUp: false, broken });
  }

  /**
   * The file that keeps services down although this agent's fence is not up: another data folder has the
   * record. `undefined` if there is none.
   */
  async foreignMarker(): Promise<string | undefined> {
    const fence = await this.read();
    if (fence.isUp || isUnfinished(fence)) return undefined;
    return [this.#lasting, this.#untilRestart].map(({ marker }) => marker).find((path) => existsSync(path));
  }

  async #requireBreakable(fence: FenceState): Promise<void> {
    if (!fence.isUp && !isUnfinished(fence)) throw new FenceNotUpError(await this.foreignMarker());
  }

  #lock(): Promise<Disposable> {
    const { lock = lockFence, dataDir, now } = this.#deps;
    return lock(dataDir, now);
  }

  /** Throws `FenceInterruptedError` if its services may have run since they were stopped. */
  async #requireQuiet(before: FenceState): Promise<void> {
    if (!before.interrupted && !(await this.#mayServe(before))) return;
    // Also if they are quiet at the next call.
    await this.#file.write({ ...before, interrupted: true });
    throw new FenceInterruptedError();
  }

  async #mayServe({ services, groups }: Pick<FenceState, "services" | "groups">): Promise<boolean> {
    return (await this.#serving(services, groups)).length > 0;
  }

  /** Those of them that may run, or may have left processes that do. */
  async #serving(services: readonly string[], groups: FenceState["groups"]): Promise<string[]> {
    const states = await this.#states(services);
    const serving: string[] = [];
    for (const unit of services)
      if (mayRun(states.get(unit)) || (await this.#isLeft(groups[unit]).catch(() => true)))
        serving.push(unit);
    return serving;
  }

  /** A fence that is up, by its record, and whether its services may have run since it was put up. */
  async #asNow(fence: FenceState): Promise<WantedFence> {
    const { term, reason = "", interrupted } = fence;
    const lasting = fence.lasting || (await isExtended(fence));
    const isThere = lasting || existsSync(this.#untilRestart.marker);
    const isQuiet = isThere && !(await this.#mayServe(fence));
    return { term, reason, lasting, interrupted: interrupted || !isQuiet };
  }

  /** Whether one that is up, by its record, ended with the restart into the boot environment. */
  async #hasEnded(fence: FenceState): Promise<boolean> {
    const { term, lasting, returning } = fence;
    if (lasting || returning?.term !== term || existsSync(this.#untilRestart.marker)) return false;
    const { isMountPoint = isMounted } = this.#deps;
    // A file system that is not there tells nothing.
    return (await isMountPoint(returning.mountPoint)) && !(await isExtended(fence));
  }

  /** The record comes first, so that an interrupted fence is finished, and none is forgotten. */
  async #raise(
    before: FenceState,
    { term, reason, lasting, interrupted }: WantedFence,
    listed: readonly string[],
  ): Promise<FenceState> {
    const { systemctl, now, dataDir } = this.#deps;
    const { marker, dropIn, notices } = lasting ? this.#lasting : this.#untilRestart;
    const isRepeated = before.isUp && before.term === term;
    // What is kept down already stays down until this fence is taken down.
    const units = await fencedUnits([...before.services, ...listed], systemctl);
    const { kept: services, dependents } = units;
    const all = [...services, ...dependents];
    const states = await this.#states(all);
    const running = all.filter((unit) => mayRun(states.get(unit)));
    const groups = { ...before.groups };
    const unknown = new Map<string, string>();
    for (const unit of services) {
      const shown = states.get(unit);
      if (shown instanceof Error) unknown.set(unit, failureOf(shown).message);
      const group = shown instanceof Error ? "" : shown?.get("ControlGroup");
      if (group) groups[unit] = group;
    }
    const since = (isRepeated && before.since) || now().toISOString();
    const state: FenceState = {
      ...{ term, isUp: true, services, since, reason, lasting, interrupted },
      // A fence that is put up again finds them stopped.
      stopped: [...new Set([...before.stopped, ...running])],
      unstopped: running.filter((unit) => services.includes(unit)),
      ...{ groups, broken: before.broken, returning: before.returning },
    };
    await this.#file.write(state);
    const files = await tryEach([marker, ...services], (one) =>
      one === marker ? put(marker, markerText(term)) : put(dropIn(one), dropInText(marker)),
    );
    const reload = await this.#reload();
    // Those that an earlier call stopped do not start again, now that systemd has read their conditions.
    const toStop = isRepeated ? await this.#serving(services, groups) : services;
    const stops = await tryEach(toStop, (service) => this.#stop(service, groups[service]));
    const done = { ...state, unstopped: [...stops.keys()] };
    await this.#file.write(done);
    const notice = noticeText({ since, reason, services, unstopped: done.unstopped, dataDir });
    const shown = await tryEach(notices, (path) => put(path, notice));
    const failures = new Map([...units.failures, ...unknown, ...files, ...reload, ...shown, ...stops]);
    if (failures.size > 0) throw new FenceIncompleteError("up", failures);
    return done;
  }

  /** What it stopped is forgotten last, so that an interrupted call is finished by the next one. */
  async #lower(next: FenceState): Promise<FenceState> {
    const { systemctl } = this.#deps;
    await this.#file.write(next);
    if (next.returning) await removeMarker(next.returning.path);
    for (const place of [this.#lasting, this.#untilRestart]) await removeFiles(place, next.services);
    for (const unit of next.services) await removeDropIn(returnDropIn(this.#etc, unit));
    const reload = await this.#reload();
    // Sockets before their services, and those before what needs them.
    const inOrder = [...new Set([...next.services, ...next.stopped])];
    const stopped = inOrder.filter((unit) => next.stopped.includes(unit));
    const starts = await tryEach(stopped, (unit) => startUnit(unit, systemctl));
    const failures = new Map([...reload, ...starts]);
    await this.#file.write({
      ...{ ...next, interrupted: false, stopped: [...starts.keys()], unstopped: [], returning: undefined },
      groups: {},
      // What has no files any more still has conditions, until systemd has read that.
      services: reload.size > 0 ? next.services : [],
    });
    if (failures.size > 0) throw new FenceIncompleteError("down", failures);
    return next;
  }

  #reload(): Promise<Map<string, string>> {
    return tryEach(["systemd"], () => this.#deps.systemctl("daemon-reload"));
  }

  #states(units: readonly string[]): Promise<Map<string, ShownUnit | Error>> {
    return shownUnits(units, ["ActiveState", "ControlGroup"], this.#deps.systemctl);
  }

  /** Throws unless it has stopped with all of its processes. */
  async #stop(unit: string, group: string | undefined): Promise<void> {
    await this.#deps.systemctl("stop", unit);
    // In a container, systemd does not wait for the last ones.
    for (let waitedMs = 0; await this.#isLeft(group); waitedMs += LAST_PAUSE_MS) {
      if (waitedMs >= LAST_LIMIT_MS)
        throw new HypervisorFailedError(
          "it has stopped, but processes of it still run: see KillMode= of its unit",
        );
      await setTimeout(LAST_PAUSE_MS);
    }
  }

  /** Whether a unit that has stopped has left processes behind, which may serve and write. */
  async #isLeft(group: string | undefined): Promise<boolean> {
    const { hasProcesses = kernelHasProcesses } = this.#deps;
    return group !== undefined && (await hasProcesses(group));
  }
}

/** One that systemd cannot tell about counts as running: the administrator wants it to run. */
function mayRun(shown: ShownUnit | Error | undefined): boolean {
  return !shown || shown instanceof Error || isActive(shown);
}

/** Whether it was taken down only in part. */
export function isUnfinished({ isUp, services, stopped }: FenceState): boolean {
  return !isUp && services.length + stopped.length > 0;
}

/** Whether the boot environment has fenced the source for its return. */
async function isExtended({ term, returning }: FenceState): Promise<boolean> {
  if (returning?.term !== term) return false;
  const text = await readFile(returning.path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  return text === markerText(term);
}

async function isMounted(path: string): Promise<boolean> {
  return path === "/" || (await stat(path)).dev !== (await stat(dirname(path))).dev;
}

/** Does it for each, also after one that failed. Resolves with why it failed, for those that did. */
async function tryEach(
  all: readonly string[],
  work: (one: string) => Promise<unknown>,
): Promise<Map<string, string>> {
  const failures = new Map<string, string>();
  for (const one of all) {
    try {
      await work(one);
    } catch (error) {
      failures.set(one, failureOf(error).message);
    }
  }
  return failures;
}
