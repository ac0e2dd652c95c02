/**
 * A machine on logical volumes whose writes the agent cannot follow: it is converted through LVM's own
 * snapshots, on a real kernel. A program writes files whose names are their checksums.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openFileReader, sliceReader } from "#agent/disk/reader.ts";
import { readLvmPhysicalVolume } from "#agent/filesystems/lvm-metadata.ts";
import type { Conversion } from "#shared/protocol/resources.ts";
import { addFiles } from "../machines/disk/add-files.ts";
import { buildLvmMachine } from "../machines/disk/lvm-machine.ts";
import {
  cacheDir,
  ended,
  isRunning,
  type MachineSite,
  type OriginalDisks,
  openMachineSite,
  untilConversion,
} from "../machines/machine-site.ts";

const MIB = 2 ** 20;
const CONVERSION_LIMIT_MS = 3_000_000;
/** Where LVM puts the first extent of a physical volume here. */
const FIRST_EXTENT_BYTES = MIB;
const VERIFIED = /LOAD VERIFIED (\d+)/;
const log = (): void => {};

/** At each start: checks every file, and says on the console how many there are. Then it writes more. */
const LOAD = `#!/bin/sh
mkdir -p /var/load && cd /var/load || exit 1
count=0
for file in *.data; do
  [ -e "$file" ] || continue
  sum=$(sha256sum "$file")
  if [ "\${sum%% *}.data" != "$file" ]; then echo "LOAD DAMAGED $file" > /dev/ttyS0; exit 1; fi
  count=$((count + 1))
done
echo "LOAD VERIFIED $count" > /dev/ttyS0
while :; do
  head -c 262144 /dev/urandom > new
  sum=$(sha256sum new)
  sync new && mv new "\${sum%% *}.data"
  ls -t *.data | tail -n +33 | xargs -r rm
  sleep 0.5
done
`;
const UNIT = `[Unit]
Description=Writes files
[Service]
ExecStart=/usr/local/sbin/load
[Install]
WantedBy=multi-user.target
`;

let dir: string;
let site: MachineSite;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-lvm-clone-"));
  const original = await withLoad(await buildLvmMachine(cacheDir, log, { spareBytes: 640 * MIB }));
  site = await openMachineSite({ dir, firmware: "bios", original, withTracker: false, log });
});

afterAll(async () => {
  await site?.[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

async function withLoad({
  paths: [system = "", data = ""],
  fileSystems,
}: OriginalDisks): Promise<OriginalDisks> {
  const own = join(dir, "system.raw");
  await copyFile(system, own);
  const [script, unit] = [join(dir, "load"), join(dir, "load.service")];
  await writeFile(script, LOAD);
  await writeFile(unit, UNIT);
  const service = "/etc/systemd/system/load.service";
  await addFiles(own, rootOffset(fileSystems), [
    { path: "/usr/local/sbin/load", source: script, mode: 0o755 },
    { path: service, source: unit, mode: 0o644 },
    { path: "/etc/systemd/system/multi-user.target.wants/load.service", linkTo: service },
  ]);
  return { paths: [own, data], fileSystems };
}

const rootOffset = (fileSystems: OriginalDisks["fileSystems"]): number =>
  fileSystems.find(({ mountPoint }) => mountPoint === "/")?.offsetBytes ?? 0;

/** The logical volumes that LVM's metadata on the first disk of a machine names. */
async function volumesOf(image: string): Promise<string[]> {
  const reader = await openFileReader(image);
  try {
    const start = rootOffset(site.fileSystems) - FIRST_EXTENT_BYTES;
    const slice = sliceReader(reader, start, reader.sizeBytes - MIB - start);
    return (await readLvmPhysicalVolume(slice)).volumes.map(({ name }) => name).sort();
  } finally {
    await reader.close();
  }
}

const sourceVolumes = () => site.machine.whilePaused(() => volumesOf(site.disks[0] ?? ""));

async function convert(...more: string[]): Promise<Conversion> {
  const words = ["convert", site.sourceId, "--type", "hot", "--target", site.targetId, "--format", "raw"];
  return (await site.installation.json([...words, ...more])) as Conversion;
}

/** Mounts and unmounts the clone's root once, as its first start would, and checks it. */
async function requireWholeFileSystem(image: string): Promise<void> {
  const mountPoint = join(dir, "clone");
  await mkdir(mountPoint);
  const offset = String(rootOffset(site.fileSystems));
  const device = execFileSync("losetup", ["--find", "--show", "--offset", offset, image]).toString().trim();
  try {
    execFileSync("unshare", ["--mount", "sh", "-c", `mount ${device} ${mountPoint} && umount ${mountPoint}`]);
    execFileSync("e2fsck", ["-fn", device]);
  } finally {
    execFileSync("losetup", ["--detach", device]);
  }
}

test("a machine on logical volumes is cloned as of one instant, and neither it nor its clone keeps a snapshot", async () => {
  const { id } = await convert("--boot-check", "--boot-expect", "LOAD VERIFIED");
  await untilConversion(site, id, isRunning("capture"));
  await expect.poll(sourceVolumes, { timeout: 300_000, interval: 2000 }).toHaveLength(6);
  const { state, result, failure } = await untilConversion(site, id, ended, CONVERSION_LIMIT_MS);
  expect(failure).toBeUndefined();
  expect({ state, result }).toMatchObject({
    state: "completed",
    result: { bootCheck: { verdict: "booted" }, frozen: { from: expect.any(String) } },
  });
  // The system's disk has /boot outside of LVM.
  expect(result?.copies.map(({ consistency }) => consistency).sort()).toEqual(["crash", "file-system"]);
  const system = result?.disks.find(({ sizeBytes }) => sizeBytes === 2048 * MIB)?.path ?? "";
  const [, count = "0"] = VERIFIED.exec(readFileSync(join(system, "../boot-check.log"), "utf8")) ?? [];
  expect(Number(count)).toBeGreaterThan(0);
  expect(await volumesOf(system)).toEqual(["root", "srv"]);
  expect(await sourceVolumes()).toEqual(["root", "srv"]);
  await requireWholeFileSystem(system);
});

test("after a power cut in the middle of a conversion, the agent removes the snapshots, and the conversion completes", async () => {
  const { id } = await convert();
  await untilConversion(site, id, isRunning("capture"));
  await expect.poll(sourceVolumes, { timeout: 300_000, interval: 2000 }).toHaveLength(6);
  const from = site.machine.console.length;
  await site.machine.cutPower();
  await site.machine.powerOn();
  await site.machine.waitFor(VERIFIED, from);
  const { failure } = await untilConversion(site, id, ended, CONVERSION_LIMIT_MS);
  expect(failure).toBeUndefined();
  await expect.poll(sourceVolumes, { timeout: 300_000, interval: 2000 }).toEqual(["root", "srv"]);
});
