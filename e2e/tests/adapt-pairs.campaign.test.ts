/**
 * Systems that are bound to their hardware are adapted to other hardware, and really started there: three
 * releases of Debian over the layouts of disks and the network configurators that servers have.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type AdaptedClone, applyToClone, computeOnClone } from "#agent/adapt/adapt-clone.ts";
import { FileHashes } from "#agent/machine/file-hashes.ts";
import { BOUND_MACHINES, buildBoundMachine } from "../machines/bound-machines.ts";
import { BOUND_PORT } from "../machines/bound-system.ts";
import { cachedBootImage } from "../machines/cold-site.ts";
import { copyDisk } from "../machines/disk/copy-disk.ts";
import { cloneDisksOf, cloneKeysOf, startMoved, wantedOf } from "../machines/moved-machine.ts";

/** What a system shows whose initramfs has no driver for its disks. */
const FINDS_NO_ROOT = /Gave up waiting for root|Waiting for encrypted source device/;
/** The only one that a bound system uses. */
const OLD_CONSOLE = 1;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "causeway-pairs-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test.each(BOUND_MACHINES.map((machine) => [machine.name, machine] as const))("%s", async (_, machine) => {
  const originals = await buildBoundMachine(machine, console.log);
  const paths = originals.map((_, at) => join(folder, `disk-${at}.raw`));
  for (const [at, original] of originals.entries()) await copyDisk(original, paths[at] ?? "");
  const clone: AdaptedClone = {
    ...{
      imageFolder: await cachedBootImage(console.log),
      disks: cloneDisksOf(paths),
      keys: cloneKeysOf(machine),
    },
    ...{ workDir: folder, contentsDir: join(folder, "contents"), onProgress: console.log },
  };
  const startedAt = performance.now();
  const record = await computeOnClone(clone, wantedOf(machine));
  const computedAt = performance.now();
  expect(await hashesOf(paths)).toEqual(await hashesOf(originals));
  console.log([...record.changes.map(({ path, why }) => `${path}: ${why}`), ...record.notes].join("\n"));
  expect(record.notes).toEqual([]);

  const applyAt = performance.now();
  expect(await applyToClone(clone, record)).toEqual({ stale: [] });
  console.log(
    `computed in ${seconds(computedAt - startedAt)}, applied in ${seconds(performance.now() - applyAt)}`,
  );
  const shown = await startMoved(machine, paths, [/REPORT [^\n]*\n/, /login: /]);
  expect(shown).toMatch(new RegExp(`REPORT .* ${BOUND_PORT.name} +inet ${BOUND_PORT.network}`));

  await startMoved(machine, originals, [FINDS_NO_ROOT], OLD_CONSOLE);
});

async function hashesOf(paths: readonly string[]): Promise<string[]> {
  return Promise.all(paths.map((path) => new FileHashes().of(path)));
}

const seconds = (ms: number) => `${Math.round(ms / 1000)} s`;
