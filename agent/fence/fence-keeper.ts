import { mkdir, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { Fence, fencedFor, unfencedAfter } from "#shared/domain/fence.ts";
import { FenceNotUpError } from "#shared/errors.ts";
import { Timestamp } from "#shared/protocol/common.ts";
import { BrokenFence, ServiceName } from "#shared/protocol/fence.ts";
import type { Systemctl } from "../hypervisor/qemu/service/systemctl.ts";
import { DataFile } from "../identity/identity.ts";
import { dropInText, type FencePlaces, fencePlaces, noticeText } from "./fence-files.ts";

/** The fence as it survives a restart. */
const FenceState = Fence.extend({
  since: Timestamp.optional(),
  reason: z.string().optional(),
  services: z.array(ServiceName).default([]),
  /** Those that ran when the fence was put up, until it is down. */
  stopped: z.array(ServiceName).default([]),
  /** The last one that a person at the console broke. */
  broken: BrokenFence.optional(),
});
export type FenceState = z.infer<typeof FenceState>;

export interface FenceDeps {
  dataDir: string;
  systemctl: Systemctl;
  now: () => Date;
  etc?: string;
}

/**
 * Keeps the services of a fenced source down, across restarts and without the agent: each has a condition on
 * one file. Each call may be repeated after an interruption.
 */
export class FenceKeeper {
  readonly #deps: FenceDeps;
  readonly #file: DataFile<FenceState>;
  readonly #places: FencePlaces;

  constructor(deps: FenceDeps) {
    this.#deps = deps;
    this.#file = new DataFile(deps.dataDir, "fence.json", FenceState);
    this.#places = fencePlaces(deps.etc ?? "/etc");
  }

  async read(): Promise<FenceState> {
    return (await this.#file.read()) ?? { term: 0, isUp: false, services: [], stopped: [] };
  }

  /** Puts the fence up or takes it down, unless a later term is known. Returns what holds now. */
  async set(
    wanted: { term: number; isUp: boolean; reason: string },
    services: readonly string[],
  ): Promise<FenceState> {
    const before = await this.read();
    const next = (wanted.isUp ? fencedFor : unfencedAfter)(before, wanted.term);
    if (next.isUp) return this.#raise(before, next.term, wanted.reason, services);
    return next !== before || isUnfinished(before) ? this.#lower({ ...before, ...next }) : before;
  }

  /** By a person at the console, who says that the machine in its place is off. Throws `FenceNotUpError`. */
  async break(by: string): Promise<FenceState> {
    const before = await this.read();
    if (!before.isUp && !isUnfinished(before)) throw new FenceNotUpError();
    const { term } = before;
    const isRepeated = before.broken?.term === term;
    const broken = isRepeated ? before.broken : { term, at: this.#deps.now().toISOString(), by };
    return this.#lower({ ...before, isUp: false, broken });
  }

  /** The record comes first, so that an interrupted fence is finished, and none is forgotten. */
  async #raise(
    before: FenceState,
    term: number,
    reason: string,
    services: readonly string[],
  ): Promise<FenceState> {
    const { systemctl, now } = this.#deps;
    const isRepeated = before.isUp && before.term === term;
    const running: string[] = [];
    for (const service of services) if (await this.#isActive(service)) running.push(service);
    const state: FenceState = {
      ...{ term, isUp: true, services: [...services] },
      ...{ since: (isRepeated && before.since) || now().toISOString(), reason },
      // A fence that is put up again finds them stopped.
      stopped: [...new Set([...before.stopped, ...running])],
      broken: before.broken,
    };
    await this.#file.write(state);
    await put(this.#places.marker, `${term}\n`);
    for (const service of services) await put(this.#places.dropIn(service), dropInText(this.#places.marker));
    const notice = noticeText({ since: state.since ?? "", reason, services, dataDir: this.#deps.dataDir });
    for (const path of this.#places.notices) await put(path, notice);
    await systemctl("daemon-reload");
    for (const service of services) await systemctl("stop", service);
    return state;
  }

  /** What it stopped is forgotten last, so that an interrupted call is finished by the next one. */
  async #lower(next: FenceState): Promise<FenceState> {
    const { systemctl } = this.#deps;
    await this.#file.write(next);
    await rm(this.#places.marker, { force: true });
    for (const path of this.#places.notices) await rm(path, { force: true });
    for (const service of next.services) {
      const dropIn = this.#places.dropIn(service);
      await rm(dropIn, { force: true });
      // Others may have files of their own there.
      await rmdir(dirname(dropIn)).catch(() => {});
    }
    await systemctl("daemon-reload");
    for (const service of next.stopped) await systemctl("start", service);
    await this.#file.write({ ...next, services: [], stopped: [] });
    return next;
  }

  async #isActive(service: string): Promise<boolean> {
    const state = await this.#deps.systemctl("show", "--property=ActiveState", "--value", service);
    return ["active", "activating", "reloading"].includes(state.trim());
  }
}

/** Taken down only in part. */
function isUnfinished({ isUp, services, stopped }: FenceState): boolean {
  return !isUp && services.length + stopped.length > 0;
}

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text, { mode: 0o644 });
}
