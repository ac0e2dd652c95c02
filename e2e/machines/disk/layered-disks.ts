/** Debian machines whose root is not simply a file system in a partition. */
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { run, runContained } from "./command.ts";
import {
  createSparse,
  digest,
  exists,
  type Firmware,
  fillEsp,
  installedRoot,
  removeAbandonedWork,
  sectors,
} from "./debian-disk.ts";
import { HOSTNAME, releaseName, rootRecipe, type Software, type Suite } from "./debian-root.ts";
import { embedBiosGrub, type GrubRoot, makeEfiFiles, prepareBiosGrub, writeGrubConfig } from "./grub.ts";
import { FIRST_EXTENT_BYTES, makeVolumeGroup, volumeBytesIn } from "./volume-group.ts";
import { contentBytes, placeInto, wrapInLuks, wrapInMirror } from "./wrapped-volume.ts";

const MIB = 2 ** 20;
const DISK_BYTES = 2560 * MIB;
const ESP_BYTES = 64 * MIB;
const BOOT_BYTES = 320 * MIB;
const DISK_GUIDS = ["7f1d0c52-8e0b-4a3f-9d5e-3c1b2a4f6e01", "7f1d0c52-8e0b-4a3f-9d5e-3c1b2a4f6e02"] as const;
const ROOT_UUID = "b1a5f0e2-44c7-4f0e-8a57-90d2c3b4a501";
const BOOT_UUID = "b1a5f0e2-44c7-4f0e-8a57-90d2c3b4a502";
export const LUKS_UUID = "b1a5f0e2-44c7-4f0e-8a57-90d2c3b4a503";
export const LUKS_PASSPHRASE = "correct horse battery";
const ARRAY_UUID = "b1a5f0e244c74f0e8a5790d2c3b4a504";
const GROUP_NAME = "vg0";
/** As Debian's installer names it. */
const SUBVOLUME = "@rootfs";
/** Changes whenever the disks would. */
const LAYOUT_VERSION = 1;

/** `raid1`: a mirror over two disks. */
export type Layer = "raid1" | "luks" | "lvm";

export interface DiskLayout {
  firmware: Firmware;
  /** Whether `/boot` is an ext4 on a partition of its own. */
  ownBoot?: boolean;
  /** What is between the root's partition and its file system, from outside. */
  layers: readonly Layer[];
  /** A btrfs has the root in a subvolume. */
  fileSystem: "ext4" | "xfs" | "btrfs";
}

/** How a system is set up before its initramfs is built. */
export interface Setup {
  files: Readonly<Record<string, string>>;
  /** Units of systemd. */
  enabled: readonly string[];
  disabled: readonly string[];
}

export interface LayeredDisksOptions {
  suite: Suite;
  /** It has to have what the layout needs: lvm2, mdadm, cryptsetup-initramfs. */
  software: Software;
  layout: DiskLayout;
  setup: Setup;
  cacheDir: string;
  log: (line: string) => void;
}

/**
 * Builds the disks of a machine that names them as its own hardware does (`/dev/sda2`), and whose firmware
 * has a boot entry: there is no fallback. Returns raw, sparse, read-only images that all callers share; the
 * first one starts. Needs root, and a Debian mirror for the first build of a release.
 */
export async function buildLayeredDisks(options: LayeredDisksOptions): Promise<string[]> {
  const { suite, software, layout, setup, cacheDir, log } = options;
  const key = digest(JSON.stringify([rootRecipe(suite, software), layout, setup, LAYOUT_VERSION]));
  const count = layout.layers.includes("raid1") ? 2 : 1;
  const paths = Array.from({ length: count }, (_, at) =>
    join(cacheDir, `${releaseName(suite)}-layered-${key}-${at}.raw`),
  );
  if ((await Promise.all(paths.map(exists))).every(Boolean)) return paths;
  await mkdir(cacheDir, { recursive: true });
  await removeAbandonedWork(cacheDir);
  const workDir = await mkdtemp(join(cacheDir, `work-${process.pid}-`));
  try {
    const root = join(workDir, "root");
    await installedRoot(root, { suite, software, cacheDir, workDir, log });
    log(`setting up ${releaseName(suite)} with ${[...layout.layers, layout.fileSystem].join(", ")}`);
    await setUp(root, layout, setup);
    const images = paths.map((_, at) => join(workDir, `disk-${at}.raw`));
    await layOut(images, root, layout, workDir);
    for (const [at, image] of images.entries()) {
      await chmod(image, 0o444);
      await run("sync", [image]);
      await rename(image, paths[at] ?? "");
    }
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
  return paths;
}

/** The numbers of the partitions, and the kernel's names of what they contain. */
function placesOf({ ownBoot = false, layers }: DiskLayout) {
  const rootPartition = ownBoot ? 3 : 2;
  const partition = `/dev/sda${rootPartition}`;
  const unlocked = `sda${rootPartition}_crypt`;
  const devices: Readonly<Record<Layer, string>> = {
    ...{ raid1: "/dev/md0", luks: `/dev/mapper/${unlocked}`, lvm: `/dev/mapper/${GROUP_NAME}-root` },
  };
  const innermost = layers.at(-1);
  const rootDevice = innermost === undefined ? partition : devices[innermost];
  const luksAt = layers.indexOf("luks");
  const outside = luksAt > 0 ? layers[luksAt - 1] : undefined;
  return {
    ...{ bootPartition: ownBoot ? 2 : rootPartition, rootPartition, rootDevice, unlocked },
    encrypted: outside === undefined ? partition : devices[outside],
  };
}

async function setUp(root: string, layout: DiskLayout, { files, enabled, disabled }: Setup): Promise<void> {
  const all = { ...storageFiles(layout), ...files };
  for (const [path, text] of Object.entries(all)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    // NetworkManager reads no connection that others can.
    await writeFile(join(root, path), text, { mode: path.includes("system-connections") ? 0o600 : 0o644 });
  }
  if (disabled.length > 0) await runContained("chroot", [root, "systemctl", "disable", ...disabled]);
  if (enabled.length > 0) await runContained("chroot", [root, "systemctl", "enable", ...enabled]);
  await runContained("chroot", [root, "update-initramfs", "-u", "-k", "all"]);
}

function storageFiles(layout: DiskLayout): Record<string, string> {
  const { layers, fileSystem, firmware, ownBoot } = layout;
  const { rootDevice, encrypted, unlocked } = placesOf(layout);
  const options = { ext4: "errors=remount-ro", xfs: "defaults", btrfs: `defaults,subvol=${SUBVOLUME}` };
  const fstab = [
    `${rootDevice} / ${fileSystem} ${options[fileSystem]} 0 1`,
    ...(ownBoot ? ["/dev/sda2 /boot ext4 defaults 0 2"] : []),
    ...(firmware === "uefi" ? ["/dev/sda1 /boot/efi vfat umask=0077 0 1"] : []),
  ];
  const array = `${ARRAY_UUID.match(/.{8}/g)?.join(":")} name=${HOSTNAME}:0`;
  return {
    "etc/fstab": `${fstab.join("\n")}\n`,
    ...(layers.includes("luks") ? { "etc/crypttab": `${unlocked} ${encrypted} none luks,discard\n` } : {}),
    ...(layers.includes("raid1")
      ? { "etc/mdadm/mdadm.conf": `HOMEHOST <system>\nARRAY /dev/md0 metadata=1.2 UUID=${array}\n` }
      : {}),
  };
}

interface Part {
  offsetBytes: number;
  sizeBytes: number;
  type: string;
}

function partsOf({ firmware, ownBoot }: DiskLayout): [first: Part, ...others: Part[]] {
  const first =
    firmware === "bios" ? { sizeBytes: MIB, type: "ef02" } : { sizeBytes: ESP_BYTES, type: "ef00" };
  const boot = ownBoot ? [{ sizeBytes: BOOT_BYTES, type: "8300" }] : [];
  const before = MIB + [first, ...boot].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let offsetBytes = MIB;
  const placed = ({ sizeBytes, type }: Omit<Part, "offsetBytes">): Part => {
    offsetBytes += sizeBytes;
    return { offsetBytes: offsetBytes - sizeBytes, sizeBytes, type };
  };
  return [placed(first), ...boot.map(placed), placed({ sizeBytes: DISK_BYTES - before - MIB, type: "8300" })];
}

async function layOut(
  images: readonly string[],
  root: string,
  layout: DiskLayout,
  workDir: string,
): Promise<void> {
  const parts = partsOf(layout);
  const [first] = parts;
  const rootPart = parts.at(-1) ?? first;
  for (const [at, image] of images.entries()) {
    await createSparse(image, DISK_BYTES);
    const options = parts.flatMap(({ offsetBytes, sizeBytes, type }, index) => [
      `--new=${index + 1}:${sectors(offsetBytes)}:+${sizeBytes / MIB}M`,
      `--typecode=${index + 1}:${type}`,
    ]);
    await run("sgdisk", ["--clear", `--disk-guid=${DISK_GUIDS[at]}`, ...options, image]);
  }
  await installGrub(images, root, layout, { first, workDir });
  if (layout.ownBoot) {
    const boot = join(workDir, "boot");
    await rename(join(root, "boot"), boot);
    await mkdir(join(root, "boot"));
    const volume = join(workDir, "boot.raw");
    await makeFileSystem(volume, boot, { type: "ext4", sizeBytes: BOOT_BYTES, uuid: BOOT_UUID });
    for (const image of images) await placeInto(image, volume, parts[1]?.offsetBytes ?? 0);
  }
  const volumes = await rootVolumes(root, layout, { sizeBytes: rootPart.sizeBytes, workDir });
  for (const [at, image] of images.entries()) await placeInto(image, volumes[at] ?? "", rootPart.offsetBytes);
}

/** What GRUB calls the layers that it reads by itself. LUKS has `/boot` elsewhere. */
const GRUB_LAYERS: Readonly<Partial<Record<Layer, { modules: readonly string[]; device: string }>>> = {
  lvm: { modules: ["lvm"], device: `lvm/${GROUP_NAME}-root` },
  raid1: { modules: ["diskfilter", "mdraid1x"], device: `mduuid/${ARRAY_UUID}` },
};

async function installGrub(
  images: readonly string[],
  root: string,
  layout: DiskLayout,
  { first, workDir }: { first: Part; workDir: string },
): Promise<void> {
  const { ownBoot = false, fileSystem, layers, firmware } = layout;
  const { bootPartition, rootDevice } = placesOf(layout);
  const subvolume = fileSystem === "btrfs" ? SUBVOLUME : undefined;
  const onRoot = {
    ...{ bootUuid: ROOT_UUID, bootModule: fileSystem === "ext4" ? "ext2" : fileSystem },
    ...{ bootFolder: subvolume === undefined ? "/boot" : `/${subvolume}/boot` },
    container: layers.map((layer) => GRUB_LAYERS[layer]).find((one) => one !== undefined),
  };
  const grub: GrubRoot = {
    ...{ root, partition: bootPartition, rootDevice, subvolume },
    ...(ownBoot ? { bootUuid: BOOT_UUID, bootFolder: "" } : onRoot),
  };
  await writeGrubConfig(grub);
  if (firmware === "bios") {
    await prepareBiosGrub(grub);
    for (const image of images) await embedBiosGrub(image, root, first);
    return;
  }
  const { "EFI/BOOT/BOOTX64.EFI": _, ...files } = await makeEfiFiles(grub, workDir);
  for (const image of images) await fillEsp(image, first, files, undefined);
}

/** What is in the partition of the root: one image for each disk. */
async function rootVolumes(
  root: string,
  { layers, fileSystem }: DiskLayout,
  { sizeBytes, workDir }: { sizeBytes: number; workDir: string },
): Promise<string[]> {
  const sizes = [sizeBytes];
  for (const layer of layers) {
    const inside = layer === "lvm" ? volumeBytesIn : contentBytes[layer];
    sizes.push(inside(sizes.at(-1) ?? 0));
  }
  let volume = join(workDir, "root.raw");
  const options = { type: fileSystem, sizeBytes: sizes.at(-1) ?? 0, uuid: ROOT_UUID };
  await makeFileSystem(volume, root, options);
  for (const [at, layer] of [...layers.entries()].reverse()) {
    const outerBytes = sizes[at] ?? 0;
    const outer = join(workDir, `${layer}.raw`);
    if (layer === "raid1") {
      const members = [outer, `${outer}.second`] as const;
      const mirror = { uuid: ARRAY_UUID, name: `${HOSTNAME}:0` };
      await wrapInMirror(volume, members, { sizeBytes: outerBytes, mirror });
      return [...members];
    }
    if (layer === "luks")
      await wrapInLuks(volume, outer, {
        sizeBytes: outerBytes,
        uuid: LUKS_UUID,
        passphrase: LUKS_PASSPHRASE,
      });
    else await wrapInGroup(volume, outer, { sizeBytes: outerBytes, root });
    volume = outer;
  }
  return [volume];
}

async function wrapInGroup(
  volume: string,
  outer: string,
  { sizeBytes, root }: { sizeBytes: number; root: string },
): Promise<void> {
  await createSparse(outer, sizeBytes);
  const volumeBytes = volumeBytesIn(sizeBytes);
  await makeVolumeGroup(root, GROUP_NAME, [{ image: outer, offsetBytes: 0, volume: "root", volumeBytes }]);
  await placeInto(outer, volume, FIRST_EXTENT_BYTES);
}

/** A file system with what a folder has. Needs a loop device, and the kernel's driver. */
async function makeFileSystem(
  image: string,
  folder: string,
  { type, sizeBytes, uuid }: { type: DiskLayout["fileSystem"]; sizeBytes: number; uuid: string },
): Promise<void> {
  await createSparse(image, sizeBytes);
  if (type === "ext4") {
    await run("mke2fs", ["-q", "-F", "-t", "ext4", "-U", uuid, "-d", folder, image]);
    return;
  }
  const mounted = `${image}.mnt`;
  await mkdir(mounted);
  const make = type === "xfs" ? `mkfs.xfs -q -m uuid=${uuid}` : `mkfs.btrfs -q -U ${uuid}`;
  const top = type === "xfs" ? mounted : `${mounted}/${SUBVOLUME}`;
  const script = [
    "set -e",
    `${make} ${image}`,
    `mount -o loop ${image} ${mounted}`,
    ...(type === "xfs" ? [] : [`btrfs -q subvolume create ${top}`]),
    `cp -a ${folder}/. ${top}/`,
    `umount ${mounted}`,
  ];
  await runContained("sh", ["-c", script.join("\n")]);
}
