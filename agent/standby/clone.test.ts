/** Clones of a standby, on a file system with reflinks and on one without. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { isRoot } from "../filesystems/testing/test-image.ts";
import { cloneStandby } from "./clone.ts";
import { noise, PLAN, SOURCE, StandbyWorld } from "./testing/standby-world.ts";

const MIB = 2 ** 20;
let folder: string;
let world: StandbyWorld;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "causeway-clone-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  world = new StandbyWorld();
});
afterEach(() => world[Symbol.dispose]());

/** A file system in a file, mounted while `use` runs. */
async function onFileSystem(makeWith: readonly string[], use: (dir: string) => Promise<void>): Promise<void> {
  const [image, mountPoint] = [join(folder, "image"), join(folder, "mounted")];
  writeFileSync(image, "");
  truncateSync(image, 400 * MIB);
  const [make = "", ...options] = makeWith;
  execFileSync(make, [...options, image], { stdio: "pipe" });
  mkdirSync(mountPoint, { recursive: true });
  execFileSync("mount", ["-o", "loop", image, mountPoint]);
  try {
    await use(mountPoint);
  } finally {
    execFileSync("umount", [mountPoint]);
    rmSync(image);
  }
}

const sizesOf = (disks: Record<string, Buffer>) =>
  Object.entries(disks).map(([name, { length }]) => ({ name, sizeBytes: length }));

const FILE_SYSTEMS = [
  { name: "btrfs", make: ["mkfs.btrfs", "-q"], method: "reflink" },
  { name: "xfs with reflinks", make: ["mkfs.xfs", "-q", "-m", "reflink=1"], method: "reflink" },
  { name: "ext4", make: ["mkfs.ext4", "-q"], method: "copy" },
] as const;

test.runIf(isRoot).each(FILE_SYSTEMS)(
  "on $name a clone is made by $method, and stays as it is while the standby changes",
  async ({ make, method }) => {
    await onFileSystem(make, async (dir) => {
      using local = new StandbyWorld(join(dir, "host"));
      const disks = {
        sda: Buffer.concat([noise(3 * MIB), Buffer.alloc(9 * MIB), noise(70_000)]),
        sdb: noise(MIB),
      };
      const point = await local.capture(disks);
      await local.apply(point);
      const clones = join(dir, "clones");
      mkdirSync(clones);
      const pathOf = (disk: string) => join(clones, `${disk}.raw`);
      const { standbys } = local;
      const wanted = {
        standbys,
        planId: PLAN,
        sourceId: SOURCE,
        pointId: point.pointId,
        disks: sizesOf(disks),
      };
      const cloned = await cloneStandby({ ...wanted, pathOf });
      expect(cloned.method).toBe(method);
      expect(await cloneStandby({ ...wanted, pathOf })).toEqual({ method: "kept", bytesWritten: 0 });
      // A clone does not count as a change of the standby.
      const next = { sda: noise(4 * MIB), sdb: disks.sdb };
      const applied = await local.apply(await local.capture(next));
      expect(applied.disks.map(({ how }) => how.method)).toEqual(["changes", "unchanged"]);
      for (const [name, bytes] of Object.entries(disks)) {
        expect(readFileSync(pathOf(name)).equals(bytes)).toBe(true);
        expect(statSync(pathOf(name)).blocks * 512).toBeLessThan(6 * MIB);
      }
    });
  },
);

test("a standby that does not equal the wanted point, or that was changed, is not cloned", async () => {
  const disks = { sda: noise(MIB) };
  const [first, second] = [await world.capture(disks), await world.capture({ sda: noise(MIB) })];
  const { standbys } = world;
  const pathOf = (disk: string) => join(world.dir, `${disk}.clone`);
  const cloneOf = (pointId: string, wanted = sizesOf(disks)) =>
    cloneStandby({ standbys, planId: PLAN, sourceId: SOURCE, pointId, disks: wanted, pathOf });
  const refused = { name: "StandbyNotAtPointError" };
  await expect(cloneOf(first.pointId)).rejects.toMatchObject(refused);
  await world.apply(first);
  await expect(cloneOf(second.pointId)).rejects.toMatchObject(refused);
  await expect(cloneOf(first.pointId, sizesOf({ sda: noise(5) }))).rejects.toMatchObject(refused);
  const busy = standbys.exclusively(PLAN, () => cloneOf(first.pointId));
  await expect(busy).rejects.toMatchObject({ name: "StandbyBusyError" });
  writeFileSync(world.pathOf("sda"), noise(MIB));
  await expect(cloneOf(first.pointId)).rejects.toMatchObject(refused);
  expect(statSync(pathOf("sda"), { throwIfNoEntry: false })).toBeUndefined();
});
