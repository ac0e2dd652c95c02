import { hash } from "node:crypto";
import { closeSync, constants, openSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, open, readFile, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { judgedProof } from "#shared/domain/proof.ts";
import { executionContext } from "../commands/testing/execution-context.ts";
import { mdSuperblock } from "../filesystems/testing/layers.ts";
import { inPhysicalVolume } from "../filesystems/testing/physical-volume.ts";
import {
  addPartition,
  createSparse,
  isRoot,
  MIB,
  removePartition,
  tool,
} from "../filesystems/testing/test-image.ts";
import type { Repository } from "../repository/repository.ts";
import { MemoryStore } from "../store/testing/memory-store.ts";
import { compareParts } from "./compare-clone.ts";
import { readFileList } from "./file-list.ts";
import { seenFile } from "./guest/seen-file.ts";
import { hashStillFilesExecutor } from "./hash-files-executor.ts";
import { hashTrees } from "./hash-trees.ts";
import { mountAll } from "./mounted-volumes.ts";
import { whyNotRead } from "./readable-logical-volumes.ts";
import { type StillTrees, whileStillMounted } from "./still-trees.ts";

let dir: string;
let attached: string[];
const at = (name: string) => join(dir, name);
const own: Repository = { sourceId: "agt_1", store: new MemoryStore(), dataKey: Buffer.alloc(32, 7) };

beforeEach(async () => {
  attached = [];
  dir = await mkdtemp(join(tmpdir(), "still-trees-"));
  for (const name of ["made", "source", "clone"]) await mkdir(at(name));
});
afterEach(async () => {
  for (const place of ["made", "source", "clone"])
    tool("sh", "-c", `grep -o ' ${at(place)}[^ ]*' /proc/mounts | xargs -r umount || true`);
  for (const device of attached) {
    // The kernel keeps the protection for the next image.
    tool("blockdev", "--setrw", device);
    tool("losetup", "--detach", device);
  }
  await rm(dir, { recursive: true });
});

function attach(name: string): string {
  const device = tool("losetup", "--find", "--show", at(name)).trim();
  attached.push(device);
  return device;
}

const MAKE: Readonly<Record<string, string[]>> = {
  ext4: ["mkfs.ext4", "-q", "-F"],
  xfs: ["mkfs.xfs", "-q", "-f"],
  btrfs: ["mkfs.btrfs", "-q", "-f"],
};

/** An image with a file system in which `write` has written. `stop`: what the machine's end is. */
async function disk(
  name: string,
  type: string,
  write: (root: string) => Promise<void>,
  stop: "clean" | "power-cut" = "clean",
): Promise<void> {
  const [program = "", ...options] = MAKE[type] ?? [];
  createSparse(at(name), 320);
  tool(program, ...options, at(name));
  tool("mount", "-o", "loop", at(name), at("made"));
  await write(at("made"));
  if (stop === "power-cut") copy(name, `${name}-cut`);
  tool("umount", at("made"));
  if (stop === "power-cut") copy(`${name}-cut`, name);
}

const copy = (from: string, to: string) => tool("cp", "--sparse=always", at(from), at(to));

/** Durable, and only in the journal so far. */
async function writeFiles(root: string): Promise<void> {
  await mkdir(join(root, "etc/deep"), { recursive: true });
  for (const [name, content] of [
    ["etc/hosts", "127.0.0.1 localhost\n"],
    ["etc/deep/large", "large".repeat(99_999)],
  ] as const) {
    await writeFile(join(root, name), content);
    await utimes(join(root, name), 1_600_000_000, 1_600_000_000);
    const file = await open(join(root, name), "r+");
    await file.sync();
    await file.close();
  }
}

const opened = <T>(images: readonly string[], work: (trees: StillTrees) => Promise<T>) =>
  whileStillMounted(
    images.map((name) => ({ name, path: attach(name), isStill: true })),
    at("source"),
    work,
  );

/** As the boot environment hashes these images, and a guest reads copies of them. */
async function proved(images: readonly string[], clones: readonly string[], names = images) {
  const devices = images.map((name) => ({ name, path: attach(name), isStill: true }));
  const hashFiles = hashStillFilesExecutor({
    disks: async () => devices,
    whileMounted: (disks, work) => whileStillMounted(disks, at("source"), work),
    hash: async (task, onFiles) => hashTrees(task, onFiles),
    repository: async () => own,
    ...{ now: () => 0, newSeed: () => "seed", agentVersion: "1.2.3" },
  });
  const input = { ownerId: "cut_1", pointId: "rp_1", disks: [...names], budgetSeconds: 60 };
  const hashed = await hashFiles(input, executionContext());
  const compared = hashed.list && { ...(await comparedWith(clones, hashed.list)), seconds: 1 };
  const proof = judgedProof({ hashed, ...(compared ? { compared } : {}) }, { pointId: "rp_1", now: "now" });
  return { hashed, compared, proof };
}

async function comparedWith(clones: readonly string[], list: string) {
  const volumes = clones.map((name) => {
    const device = attach(name);
    const field = (key: string) => tool("blkid", "-p", "-o", "value", "-s", key, device).trim();
    return { device: device.replace("/dev/", ""), type: field("TYPE"), uuid: field("UUID") };
  });
  const mounted = await mountAll(volumes, at("clone"));
  return compareParts(await readFileList(own, list), {
    open: async () => new Map(mounted.map((one) => [one.uuid, "problem" in one ? one.problem : undefined])),
    read: async (fileSystem, paths) => {
      const found = mounted.find(({ uuid }) => uuid === fileSystem);
      const root = openSync(found && "place" in found ? found.place : "", constants.O_DIRECTORY);
      const seen = paths.map((path) => seenFile(root, Buffer.from(path, "latin1")));
      closeSync(root);
      return seen;
    },
  });
}

const digest = (name: string) => hash("sha256", readFileSync(at(name)));

test.skipIf(!isRoot).each(["ext4", "xfs", "btrfs"])(
  "every file of a %s that was shut down is hashed, however new it is, and nothing is written to the disk",
  async (type) => {
    await disk("sda", type, async (root) => {
      await writeFiles(root);
      if (type === "btrfs") tool("btrfs", "-q", "subvolume", "create", join(root, "home"));
      await mkdir(join(root, "home"), { recursive: true });
      await writeFile(join(root, "home/new"), "new");
    });
    copy("sda", "copy");
    const before = digest("sda");
    const { hashed, proof } = await proved(["sda"], ["copy"]);
    expect(hashed).toMatchObject({ files: 3, found: 3, foundAll: true, changed: 0, leftOut: [] });
    expect(hashed).toMatchObject({ system: "boot-environment", agentVersion: "1.2.3" });
    expect(hashed).not.toHaveProperty("unopened");
    expect(proof).toMatchObject({ outcome: "equal", compared: { equal: 3 } });
    expect(digest("sda")).toBe(before);
    expect(await readFile("/proc/mounts", "utf8")).not.toContain(at("source"));
  },
);

test.skipIf(!isRoot)("a file that differs on the clone is found, also if only its content does", async () => {
  await disk("sda", "ext4", writeFiles);
  copy("sda", "copy");
  tool("mount", "-o", "loop", at("copy"), at("made"));
  await writeFile(join(at("made"), "etc/hosts"), "127.0.0.2 localhost\n");
  await utimes(join(at("made"), "etc/hosts"), 1_600_000_000, 1_600_000_000);
  tool("umount", at("made"));
  expect((await proved(["sda"], ["copy"])).proof).toMatchObject({
    outcome: "different",
    compared: { equal: 1, differences: [{ path: "/etc/hosts", what: "content" }] },
  });
});

test.skipIf(!isRoot).each(["ext4", "xfs", "btrfs"])(
  "a %s whose journal is not empty is not mounted and not written to, and makes the proof unknown",
  async (type) => {
    await disk("sda", type, writeFiles, "power-cut");
    await disk("sdb", "ext4", writeFiles);
    for (const name of ["sda", "sdb"]) copy(name, `${name}-copy`);
    const before = digest("sda");
    const { hashed, proof } = await proved(["sda", "sdb"], ["sda-copy", "sdb-copy"]);
    const place = expect.stringMatching(/^\/dev\/loop\d+$/);
    const why = expect.stringMatching(
      /^mount: .+; the kernel refuses this also if its journal is not empty$/,
    );
    expect(hashed).toMatchObject({ files: 2, unopened: [{ place, why }] });
    expect(proof).toMatchObject({ outcome: "unknown", compared: { equal: 2, different: 0 } });
    expect(proof.reason).toContain("a file system of the source could not be opened: /dev/loop");
    expect(digest("sda")).toBe(before);
  },
);

test.skipIf(!isRoot)("a disk that was cut off makes the proof unknown", async () => {
  await disk("sda", "ext4", writeFiles);
  await truncate(at("sda"), 100 * MIB);
  const { hashed, proof } = await proved(["sda"], []);
  expect(hashed).toMatchObject({ files: 0, unopened: [{ why: expect.stringMatching(/^mount: /) }] });
  expect(proof).toMatchObject({ outcome: "unknown", reason: expect.stringContaining("could not be opened") });
});

test.skipIf(!isRoot)("a member of a RAID is not assembled, and other content is named", async () => {
  createSparse(at("sda"), 64);
  const image = await open(at("sda"), "r+");
  const superblock = mdSuperblock(8, 64 * MIB);
  await image.write(superblock, 0, superblock.length, 4096);
  await image.close();
  createSparse(at("sdb"), 64);
  tool("mkswap", "-q", at("sdb"));
  createSparse(at("sdc"), 64);
  const found = await opened(["sda", "sdb", "sdc"], async (trees) => trees);
  expect(found).toMatchObject({
    trees: [],
    unopened: [{ why: "it is in a RAID, which the boot environment would write to if it assembled it" }],
    leftOut: [{ why: "swap is not compared" }, { why: "nothing is recognised" }],
  });
});

test.skipIf(!isRoot)(
  "a logical volume that cannot be activated is named, and so is a disk that is missing",
  async () => {
    createSparse(at("sda"), 64);
    await inPhysicalVolume([at("sda")], (lvm, [device]) => {
      lvm("vgcreate", "-q", "vg0", device);
      lvm("lvcreate", "-q", "-an", "-Zn", "-Wn", "-L", "16M", "-n", "root", "vg0");
    });
    const { hashed, proof } = await proved(["sda"], [], ["sda", "sdb"]);
    expect(hashed.unopened).toMatchObject([
      { place: "sdb", why: "this disk is not there" },
      { place: "vg0/root", why: expect.stringMatching(/./) },
    ]);
    expect(proof.outcome).toBe("unknown");
  },
);

test("only volumes of LVM that are read from their disks as they are get activated", () => {
  expect(["-wi-a-----", "-wi-------"].map(whyNotRead)).toEqual([undefined, undefined]);
  for (const attributes of ["owi-------", "swi-------", "Vwi-------", "rwi-------", "Cwi-------", undefined])
    expect(whyNotRead(attributes)).toContain("could write");
});

test.skipIf(!isRoot)("a partition is found, write-protected and hashed", async () => {
  await disk("part", "ext4", writeFiles);
  createSparse(at("sda"), 330);
  const device = attach("sda");
  const partition = addPartition(device, "start=2048,size=655360");
  try {
    tool("dd", `if=${at("part")}`, `of=${partition}`, "bs=1M", "conv=sparse,notrunc", "status=none");
    const disks = [{ name: "sda", path: device, isStill: true }];
    const { trees, unopened } = await whileStillMounted(disks, at("source"), async (found) => found);
    expect(trees).toMatchObject([{ prefix: "", withSubvolumes: true }]);
    expect(unopened).toEqual([]);
    expect(tool("blockdev", "--getro", partition).trim()).toBe("1");
  } finally {
    tool("blockdev", "--setrw", partition);
    removePartition(device);
  }
});

test.skipIf(!isRoot)("a btrfs over two disks is one file system", async () => {
  for (const name of ["sda", "sdb"]) createSparse(at(name), 320);
  const devices = ["sda", "sdb"].map(attach);
  tool("mkfs.btrfs", "-q", "-f", ...devices);
  tool("mount", "-o", `device=${devices[1]}`, devices[0] ?? "", at("made"));
  await writeFiles(at("made"));
  tool("umount", at("made"));
  tool("btrfs", "device", "scan", "--forget");
  const disks = devices.map((path) => ({ name: path, path, isStill: true }));
  const { trees, unopened } = await whileStillMounted(disks, at("source"), async (found) => found);
  expect({ trees: trees.length, unopened }).toEqual({ trees: 1, unopened: [] });
});

test.skipIf(!isRoot)(
  "whatever happens to the work, nothing stays mounted, and the disk stays write-protected",
  async () => {
    await disk("sda", "xfs", writeFiles);
    const failing = opened(["sda"], () => Promise.reject(new Error("cancelled")));
    await expect(failing).rejects.toThrow("cancelled");
    expect(await readFile("/proc/mounts", "utf8")).not.toContain(at("source"));
    expect(tool("blockdev", "--getro", attached[0] ?? "").trim()).toBe("1");
  },
);
