import { createHash } from "node:crypto";
import { access, chmod, mkdir, mkdtemp, open, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isRunning } from "#cli/running-process.ts";
import { run } from "./command.ts";
import {
  buildRootTarball,
  HOSTNAME,
  ROOT_PASSWORD,
  releaseName,
  rootRecipe,
  type Software,
  type Suite,
  unpackRoot,
} from "./debian-root.ts";
import { embedBiosGrub, type GrubRoot, makeEfiFiles, prepareBiosGrub, writeGrubConfig } from "./grub.ts";
import { requireDiskBuilder } from "./requirements.ts";

const MIB = 2 ** 20;
const ALIGNMENT_BYTES = MIB;
/** Room at the end for GPT's backup, rounded to the alignment. */
const TAIL_BYTES = MIB;
/** As Debian's installer makes it. */
const USUAL_ESP_BYTES = 512 * MIB;
/**
 * Above this size `mkfs.fat` uses clusters of 4 KiB, below it clusters of one sector. Firmware reads a file
 * cluster by cluster.
 */
const LARGE_ESP_BYTES = 260 * MIB;
const BIOS_BOOT_BYTES = MIB;
const ESP_SERIAL = "C0DE-CA55";
const ROOT_UUID = "8d9c4a5e-6a86-4f0c-9a55-0c9d6d2a7f10";
const DISK_GUID = "5f2e7a34-3d7b-4f5c-8e0a-b1c2d3e4f506";
const ROOT_PARTITION = 2;
/** Changes whenever the layout for the same root changes. */
const LAYOUT_VERSION = 2;

export type Firmware = "bios" | "uefi";

export interface DebianDisk {
  /** A raw, sparse, read-only image that all callers share. Copy it or boot an overlay of it. */
  path: string;
  sizeBytes: number;
  /** Where the root file system begins. */
  rootOffsetBytes: number;
  /** The offset of the EFI system partition. */
  espOffsetBytes: number | undefined;
  firmware: Firmware;
  hostname: string;
  rootPassword: string;
  /** False if an earlier build was found. */
  built: boolean;
}

export interface DebianDiskOptions {
  /** Debian 12 if absent. */
  suite?: Suite;
  software?: Software | undefined;
  firmware: Firmware;
  /** At least 1.5 GiB; 2 GiB is enough for tests. */
  sizeBytes: number;
  /**
   * On UEFI, the size of the EFI system partition: 512 MiB if absent, at least 34 MiB because it has FAT32.
   */
  espBytes?: number | undefined;
  /**
   * Kept between runs: the installed system (about 200 MB) and each disk (about 700 MB on a file system with
   * sparse files).
   */
  cacheDir: string;
  log: (line: string) => void;
  mirror?: string;
  signal?: AbortSignal;
}

/**
 * A bootable Debian disk: GPT, ext4 root found by UUID, GRUB, a login on the serial console. About two and a
 * half minutes the first time, ten seconds for another size or firmware, then instant. Needs root and the
 * packages that the error names. Uses no loop device and mounts nothing outside a private namespace, so it
 * leaves nothing behind, even after a crash.
 */
export async function buildDebianDisk(options: DebianDiskOptions): Promise<DebianDisk> {
  const { suite = "bookworm", software, firmware, sizeBytes, espBytes = USUAL_ESP_BYTES } = options;
  const { cacheDir, log, signal } = options;
  if (sizeBytes % ALIGNMENT_BYTES !== 0 || sizeBytes < 1536 * MIB) {
    throw new RangeError("the disk's size must be whole MiB, at least 1.5 GiB");
  }
  const key = digest(`${rootRecipe(suite, software)} ${LAYOUT_VERSION}`);
  const esp = firmware === "uefi" && espBytes !== USUAL_ESP_BYTES ? `-esp${espBytes / MIB}` : "";
  const path = join(cacheDir, `${releaseName(suite)}-${firmware}${esp}-${sizeBytes / MIB}MiB-${key}.raw`);
  const rootOffsetBytes = ALIGNMENT_BYTES + (firmware === "bios" ? BIOS_BOOT_BYTES : espBytes);
  const disk = {
    path,
    sizeBytes,
    rootOffsetBytes,
    espOffsetBytes: firmware === "uefi" ? ALIGNMENT_BYTES : undefined,
    firmware,
    hostname: HOSTNAME,
    rootPassword: ROOT_PASSWORD,
  };
  if (await exists(path)) return { ...disk, built: false };

  requireDiskBuilder(process.getuid?.() ?? -1);
  await mkdir(cacheDir, { recursive: true });
  await removeAbandonedWork(cacheDir);
  const workDir = await mkdtemp(join(cacheDir, `work-${process.pid}-`));
  try {
    const root = join(workDir, "root");
    await installedRoot(root, { ...options, workDir });
    log(`laying out a ${sizeBytes / MIB} MiB disk for ${firmware === "bios" ? "BIOS" : "UEFI"}`);
    const image = join(workDir, "disk.raw");
    await layOut(image, { root, bootUuid: ROOT_UUID, partition: ROOT_PARTITION, signal }, options, workDir);
    await chmod(image, 0o444);
    await run("sync", [image], { signal });
    await rename(image, path);
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
  return { ...disk, built: true };
}

/** Unpacks the installed system into a new folder. The first call builds that system. */
export async function installedRoot(
  root: string,
  options: Pick<DebianDiskOptions, "suite" | "software" | "cacheDir" | "log" | "mirror" | "signal"> & {
    workDir: string;
  },
): Promise<void> {
  const { suite = "bookworm", software, cacheDir, workDir, log, signal } = options;
  const { mirror = "http://deb.debian.org/debian" } = options;
  const tarball = join(cacheDir, `${releaseName(suite)}-root-${digest(rootRecipe(suite, software))}.tar.zst`);
  if (!(await exists(tarball)))
    await buildRootTarball(tarball, { suite, software, mirror, workDir, signal, log });
  await unpackRoot(tarball, root, signal);
}

async function layOut(
  image: string,
  grub: GrubRoot,
  { firmware, sizeBytes, espBytes = USUAL_ESP_BYTES }: DebianDiskOptions,
  workDir: string,
): Promise<void> {
  const { root, signal } = grub;
  const first = {
    offsetBytes: ALIGNMENT_BYTES,
    sizeBytes: firmware === "bios" ? BIOS_BOOT_BYTES : espBytes,
  };
  const rootOffset = first.offsetBytes + first.sizeBytes;
  const rootBytes = sizeBytes - rootOffset - TAIL_BYTES;
  await createSparse(image, sizeBytes);
  await run(
    "sgdisk",
    [
      ...["--clear", `--disk-guid=${DISK_GUID}`],
      ...[`--new=1:${sectors(first.offsetBytes)}:+${first.sizeBytes / MIB}M`],
      ...(firmware === "bios" ? ["--typecode=1:ef02"] : ["--typecode=1:ef00", "--change-name=1:ESP"]),
      ...[`--new=2:${sectors(rootOffset)}:+${rootBytes / MIB}M`, "--typecode=2:8300", "--change-name=2:root"],
      image,
    ],
    { signal },
  );
  await writeFstab(root, firmware);
  await writeGrubConfig(grub);
  if (firmware === "bios") {
    await prepareBiosGrub(grub);
    await embedBiosGrub(image, root, first);
  } else {
    await fillEsp(image, first, await makeEfiFiles(grub, workDir), signal);
  }
  await run(
    "mke2fs",
    [
      ...["-q", "-F", "-t", "ext4", "-L", "root", "-U", ROOT_UUID, "-d", root],
      ...["-E", `offset=${rootOffset},hash_seed=${ROOT_UUID}`, image, `${rootBytes / 1024}k`],
    ],
    { signal },
  );
}

async function writeFstab(root: string, firmware: Firmware): Promise<void> {
  const lines = [`UUID=${ROOT_UUID} / ext4 errors=remount-ro 0 1`];
  if (firmware === "uefi") lines.push(`UUID=${ESP_SERIAL} /boot/efi vfat umask=0077 0 1`);
  await writeFile(join(root, "etc/fstab"), `${lines.join("\n")}\n`);
}

/** Formats the ESP inside the image and copies the files in, without a kernel that knows FAT. */
export async function fillEsp(
  image: string,
  esp: { offsetBytes: number; sizeBytes: number },
  files: Record<string, string>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const drive = `${image}@@${esp.offsetBytes}`;
  const serial = ESP_SERIAL.replace("-", "");
  const clusterSectors = esp.sizeBytes > LARGE_ESP_BYTES ? "8" : "1";
  await run(
    "mformat",
    [
      ...["-i", drive, "-F", "-c", clusterSectors, "-v", "ESP", "-N", serial],
      ...["-T", sectors(esp.sizeBytes), "::"],
    ],
    { signal },
  );
  const folders = ["EFI", "EFI/debian", "EFI/BOOT"];
  await run("mmd", ["-i", drive, ...folders.map((folder) => `::/${folder}`)], { signal });
  for (const [path, source] of Object.entries(files)) {
    await run("mcopy", ["-i", drive, source, `::/${path}`], { signal });
  }
}

export async function createSparse(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, "wx");
  try {
    await file.truncate(sizeBytes);
  } finally {
    await file.close();
  }
}

/** Removes the working folders of builds whose process was killed. */
export async function removeAbandonedWork(cacheDir: string): Promise<void> {
  for (const name of await readdir(cacheDir)) {
    const pid = Number(/^work-(\d+)-/.exec(name)?.[1]);
    if (pid && !isRunning(pid)) await rm(join(cacheDir, name), { recursive: true, force: true });
  }
}

export function sectors(bytes: number): string {
  return String(bytes / 512);
}

export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
