/**
 * Files as this machine's kernel reads them, compared with what the kernel of a guest reads on copies of the
 * disks, of which single bytes are changed then.
 */
import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { executionContext } from "#agent/commands/testing/execution-context.ts";
import { compareClone } from "#agent/proof/compare-clone.ts";
import { hashFilesExecutor } from "#agent/proof/hash-files-executor.ts";
import { hashInWorker } from "#agent/proof/hash-in-worker.ts";
import { mountedTrees } from "#agent/proof/mounted-trees.ts";
import type { Repository } from "#agent/repository/repository.ts";
import { MemoryStore } from "#agent/store/testing/memory-store.ts";
import { cachedBootImage } from "../machines/cold-site.ts";
import { noise } from "../testing/disk-content.ts";
import { MountedDisks } from "../testing/mounted-disks.ts";

/** Longer than the agent's margin before a freeze. */
const SETTLE_MS = 6500;
const own: Repository = { sourceId: "agt_1", store: new MemoryStore(), dataKey: Buffer.alloc(32, 7) };

let folder: string;
let source: MountedDisks;
let image: string;

beforeAll(async () => {
  image = await cachedBootImage(console.log);
  folder = await mkdtemp(join(tmpdir(), "causeway-proof-"));
  // Also for the user that QEMU runs as.
  await chmod(folder, 0o755);
  source = new MountedDisks(folder);
});
afterAll(async () => {
  await source?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** A large file with a text that is found nowhere else on its disk. */
const marked = (text: string) =>
  Buffer.concat([noise(text, 300_000), Buffer.from(text), noise(`${text} `, 5000)]);

async function fill(place: string, name: string): Promise<void> {
  await mkdir(join(place, "etc/deep/deeper"), { recursive: true });
  await writeFile(join(place, "etc/hosts"), `127.0.0.1 ${name}\n`, { mode: 0o640 });
  await writeFile(join(place, "etc/deep/deeper/a\nb"), "an odd name");
  await writeFile(Buffer.concat([Buffer.from(`${place}/etc/`), Buffer.from([0xff, 0xfe])]), "no UTF-8");
  await writeFile(join(place, "etc/empty"), "");
  await writeFile(join(place, "etc/marked"), marked(`the mark of ${name}`));
  await symlink("/etc/hosts", join(place, "etc/link"));
}

const hash = hashFilesExecutor({
  disks: async () => source.disks,
  ...{ trees: mountedTrees, hash: hashInWorker, repository: async () => own },
  ...{ now: Date.now, newSeed: () => "seed", agentVersion: "1.2.3" },
});
const compare = (list: string) =>
  compareClone(
    {
      ...{ imageFolder: image, disks: source.copies, keys: [], workDir: folder },
      signal: new AbortController().signal,
    },
    { repository: own, list },
  );

test("copies of a frozen ext4, XFS and btrfs are equal to the files of their source, until one byte of each is changed", async () => {
  const places = [await source.add("ext4", 64), await source.add("xfs", 320), await source.add("btrfs", 256)];
  execFileSync("btrfs", ["-q", "subvolume", "create", join(places[2] ?? "", "@home")]);
  await source.subvolume("@home");
  const subvolume = join(folder, "mounted/@home");
  await source.mount("again", "--bind", join(places[0] ?? "", "."));
  for (const [at, place] of [...places, subvolume].entries())
    await fill(place, ["ext4", "xfs", "btrfs", "home"][at] ?? "");
  const [ext4 = "", xfs = ""] = places;
  await mkdir(join(xfs, "moving"));
  await writeFile(join(xfs, "moving/file"), "on its way");
  await writeFile(join(ext4, "swapfile"), Buffer.alloc(2 ** 20));
  execFileSync("mkswap", [join(ext4, "swapfile")]);
  // Of the same file system: only the number of the mount tells it from a folder that the clone has.
  await source.mount("ext4/bound", "--bind", join(ext4, "etc"));
  await wait(SETTLE_MS);
  for (const place of places) await writeFile(join(place, "too-new"), "within the margin");
  const frozenFrom = await source.copyFrozen();
  for (const place of places) await writeFile(join(place, "etc/empty"), "changed after the freeze");
  await rename(join(xfs, "moving"), join(xfs, "moved"));

  const disks = source.disks.map(({ name }) => name);
  const asked = { ownerId: "rcv_1", pointId: "rp_1", disks, frozenFrom, budgetSeconds: 60 };
  const hashed = await hash(asked, executionContext());
  console.log(hashed);
  // Five files in each place, of which one was changed in three of them, where one more is too new.
  expect(hashed).toMatchObject({
    ...{ files: 18, found: 25, foundAll: true, changed: 6, unreadable: 0 },
    leftOut: [{ place: join(ext4, "swapfile"), why: "it is swap space" }],
  });
  const list = hashed.list ?? "";
  const bytes = hashed.bytes - "on its way".length;
  const { result, bootImageId } = await compare(list);
  expect(bootImageId).toMatch(/^[0-9a-f]{64}$/);
  expect(result).toMatchObject({ equal: 17, bytes, moved: 1, different: 0, unopened: [] });

  for (const [type, name] of [
    ["ext4", "ext4"],
    ["xfs", "xfs"],
    ["btrfs", "home"],
  ] as const)
    await source.damage(type, `the mark of ${name}`);
  const { result: damaged } = await compare(list);
  expect(damaged).toMatchObject({ equal: 14, moved: 1, different: 3, unopened: [] });
  expect(damaged.differences.map(({ path, what }) => `${path} ${what}`).sort()).toEqual([
    // btrfs has checksums, and refuses to read it.
    "/@home/etc/marked unreadable",
    "/etc/marked content",
    "/etc/marked content",
  ]);
});
