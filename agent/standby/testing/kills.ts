/** Kills an agent's process while it applies points, and compares what the next one makes of the standby. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { BLOCK_BYTES } from "#shared/format/block.ts";
import type { Point } from "#shared/format/point.ts";
import { testContent } from "../../disk/testing/test-disk.ts";
import { DirectoryStore } from "../../store/testing/directory-store.ts";
import { applyPoint } from "../apply.ts";
import {
  capturePoint,
  DATA_KEY,
  type Disks,
  difference,
  imagesIn,
  NO_SAMPLE,
  noise,
  PLAN,
  SOURCE,
  standbysIn,
} from "./standby-world.ts";

const MIB = 2 ** 20;
/** Several applications take this long. */
const LONGEST_MS = 600;

/** Three points that differ in many blocks, in zeros, in sizes, and in their disks. */
function states(): Disks[] {
  const first = testContent(18 * MIB + 512, 11);
  const second = Buffer.from(first);
  for (let at = 0; at < second.length; at += 3 * BLOCK_BYTES) noise(BLOCK_BYTES).copy(second, at);
  second.fill(0, 6 * MIB, 9 * MIB);
  const third = Buffer.concat([second.subarray(0, 5 * MIB + 100), noise(12 * MIB)]);
  return [
    { sda: first, sdb: noise(MIB) },
    { sda: second, sdb: noise(MIB) },
    { sda: third, sdc: noise(2 * MIB) },
  ];
}

/** A generator of numbers from 0 to 1 by a seed. */
function randomOf(seed: number): () => number {
  let state = seed + 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
}

export class KilledStandby {
  readonly #dir = mkdtempSync(join(tmpdir(), "causeway-killed-standby-"));
  readonly #store = new DirectoryStore(join(this.#dir, "store"));
  readonly #states = states();
  #points: Point[] = [];

  static async create(): Promise<KilledStandby> {
    const killed = new KilledStandby();
    for (const [at, disks] of killed.#states.entries())
      killed.#points.push(await capturePoint(killed.#store, `rp_${at}`, disks, killed.#points.at(-1)));
    return killed;
  }

  /** Where the standby differs from a point that was applied after a kill; an empty text if it does not. */
  async killAndFinish(seed: number): Promise<string> {
    const random = randomOf(seed);
    const child = fork(join(import.meta.dirname, "apply-process.ts"), [
      ...[this.#dir, join(this.#dir, "store")],
      ...this.#points.map(({ pointId }) => pointId),
    ]);
    await once(child, "message");
    await setTimeout(random() * LONGEST_MS);
    child.kill("SIGKILL");
    await once(child, "exit");
    const at = Math.floor(random() * this.#points.length);
    const [point, disks] = [this.#points[at], this.#states[at]];
    if (!point || !disks) throw new RangeError("no such point");
    const repository = { sourceId: SOURCE, store: this.#store, dataKey: DATA_KEY };
    const standbys = standbysIn(this.#dir);
    await applyPoint({ standbys, planId: PLAN, repository, point, sampling: NO_SAMPLE });
    return difference(imagesIn(this.#dir), disks);
  }

  [Symbol.dispose](): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
