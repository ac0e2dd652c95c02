/** File systems that other tools failed at, or read wrongly, as reports have them. */
import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inPhysicalVolume } from "../filesystems/testing/physical-volume.ts";
import { createSparse, isRoot, tool } from "../filesystems/testing/test-image.ts";
import { hashTrees } from "./hash-trees.ts";
import { whileStillMounted } from "./still-trees.ts";

let dir: string;
let attached: string[];
const at = (name: string) => join(dir, name);

beforeEach(async () => {
  attached = [];
  dir = await mkdtemp(join(tmpdir(), "odd-file-systems-"));
  for (const name of ["made", "source"]) mkdirSync(at(name));
});
afterEach(() => {
  for (const place of ["made", "source"])
    tool("sh", "-c", `grep -o ' ${at(place)}[^ ]*' /proc/mounts | xargs -r umount || true`);
  for (const device of attached) {
    tool("blockdev", "--setrw", device);
    tool("losetup", "--detach", device);
  }
  tool("btrfs", "device", "scan", "--forget");
  rmSync(dir, { recursive: true });
});

function attach(name: string): string {
  const device = tool("losetup", "--find", "--show", at(name)).trim();
  attached.push(device);
  return device;
}

/** A disk with what this command makes of it, in which `write` has written. */
function disk(name: string, make: string[], write: (root: string) => void, options = "loop"): void {
  createSparse(at(name), 320);
  tool(make[0] ?? "", ...make.slice(1), at(name));
  tool("mount", "-o", options, at(name), at("made"));
  write(at("made"));
  tool("umount", at("made"));
}

/** What the boot environment hashes of these disks. */
async function hashed(...devices: string[]) {
  const disks = devices.map((path) => ({ name: path, path, isStill: true }));
  return whileStillMounted(disks, at("source"), async ({ trees, unopened, leftOut }) => {
    const paths: string[] = [];
    const counts = hashTrees({ trees, budgetMs: 20_000, seed: "" }, (_, files) =>
      paths.push(...files.map(({ path }) => path)),
    );
    return {
      paths: paths.toSorted(),
      unopened,
      leftOut,
      ...{ found: counts.found, unreadable: counts.unreadable },
    };
  });
}

function writeFiles(root: string): void {
  mkdirSync(join(root, "etc/deep"), { recursive: true });
  for (const name of ["etc/hosts", "etc/deep/file"]) writeFileSync(join(root, name), name);
}

const XFS = ["mkfs.xfs", "-q", "-f"];
const EXT4 = ["mkfs.ext4", "-q", "-F"];
const BTRFS = ["mkfs.btrfs", "-q", "-f"];
const BOTH = ["etc/deep/file", "etc/hosts"];

// As with XFS in Red Hat's systems until 7.4:
// https://github.com/swiftlang/swift-corelibs-foundation/pull/1716
test.skipIf(!isRoot)("files are found in folders that do not say what is a file", async () => {
  disk("sda", [...EXT4, "-O", "^filetype"], writeFiles);
  expect(await hashed(attach("sda"))).toMatchObject({ paths: BOTH, unopened: [] });
});

// https://github.com/rear/rear/issues/1604
test.skipIf(!isRoot)(
  "an XFS whose log is on another disk is named, as it cannot be opened alone",
  async () => {
    createSparse(at("sdb"), 64);
    const log = attach("sdb");
    disk("sda", [...XFS, "-l", `logdev=${log}`], writeFiles, `loop,logdev=${log}`);
    expect(await hashed(attach("sda"), log)).toMatchObject({
      paths: [],
      unopened: [{ why: expect.stringMatching(/^mount: /) }],
    });
  },
);

// https://github.com/openSUSE/snapper/issues/178
test.skipIf(!isRoot)(
  "a btrfs is looked through from its top, whatever its default subvolume is",
  async () => {
    disk("sda", BTRFS, (root) => {
      writeFiles(root);
      tool("btrfs", "-q", "subvolume", "snapshot", root, join(root, "snapshot"));
      tool("btrfs", "subvolume", "set-default", join(root, "snapshot"));
    });
    const { paths, found } = await hashed(attach("sda"));
    expect(paths).toEqual([...BOTH, ...BOTH.map((path) => `snapshot/${path}`)]);
    expect(found).toBe(4);
  },
);

// https://github.com/digint/btrbk/issues/205, https://github.com/storaged-project/udisks/pull/838
test.skipIf(!isRoot).each([
  ["btrfs", BTRFS],
  ["ext4", EXT4],
  ["xfs", XFS],
])("copies of one %s cannot be told apart, so none of them is hashed", async (_, make) => {
  disk("sda", make, writeFiles);
  tool("cp", "--sparse=always", at("sda"), at("sdb"));
  expect(await hashed(attach("sda"), attach("sdb"))).toMatchObject({
    paths: [],
    unopened: [{ why: expect.stringContaining("2 volumes have this UUID") }],
  });
});

// https://github.com/deckhouse/sds-node-configurator/pull/291
test.skipIf(!isRoot)(
  "volumes of two groups of one name are all named, and none is taken for another",
  async () => {
    for (const name of ["sda", "sdb"]) {
      createSparse(at(name), 64);
      await inPhysicalVolume([at(name)], (lvm, [device]) => {
        lvm("vgcreate", "-q", "vg0", device);
        lvm("lvcreate", "-q", "-an", "-Zn", "-Wn", "-L", "16M", "-n", name, "vg0");
      });
    }
    const { unopened } = await hashed(attach("sda"), attach("sdb"));
    expect(unopened.map(({ place }) => place).toSorted()).toEqual(["vg0/sda", "vg0/sdb"]);
  },
);

test.skipIf(!isRoot)(
  "an ext4 with encrypted folders is left out, as another kernel has no keys",
  async () => {
    disk("sda", [...EXT4, "-O", "encrypt"], writeFiles);
    expect(await hashed(attach("sda"))).toMatchObject({
      paths: [],
      leftOut: [{ why: expect.stringContaining("encrypted folders") }],
    });
  },
);

test.skipIf(!isRoot)("only regular files are opened, holes and names of any bytes included", async () => {
  const odd = Buffer.from([0x66, 0xff, 0x0a, 0xe9]);
  disk("sda", EXT4, (root) => {
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), odd]), "odd");
    writeFileSync(join(root, "sparse"), "begins");
    truncateSync(join(root, "sparse"), 2 ** 26);
    linkSync(join(root, "sparse"), join(root, "zz-again"));
    symlinkSync("/dev/zero", join(root, "link"));
    execFileSync("mkfifo", [join(root, "fifo")]);
    execFileSync("mknod", [join(root, "zero"), "c", "1", "5"]);
    execFileSync("perl", [
      "-MIO::Socket::UNIX",
      "-e",
      "chdir shift; IO::Socket::UNIX->new(Local => 's', Listen => 1) or die",
      root,
    ]);
  });
  const { paths, unreadable } = await hashed(attach("sda"));
  expect([paths, unreadable]).toEqual([
    [odd.toString("latin1"), expect.stringMatching(/^(?:sparse|zz-again)$/)],
    0,
  ]);
});
