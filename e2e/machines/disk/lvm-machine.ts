import { appendFile, chmod, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./command.ts";
import { createSparse, digest, exists, installedRoot, removeAbandonedWork, sectors } from "./debian-disk.ts";
import { installInto, rootRecipe } from "./debian-root.ts";
import { embedBiosGrub, type GrubRoot, prepareBiosGrub, writeGrubConfig } from "./grub.ts";
import { FIRST_EXTENT_BYTES, makeVolumeGroup, volumeBytesIn } from "./volume-group.ts";

const MIB = 2 ** 20;
const SYSTEM_DISK_BYTES = 2048 * MIB;
const DATA_DISK_BYTES = 192 * MIB;
/** Without what is spare. */
const DATA_DISK = { offsetBytes: 0, sizeBytes: DATA_DISK_BYTES };
const BIOS_BOOT = { offsetBytes: MIB, sizeBytes: MIB };
const BOOT = { offsetBytes: 2 * MIB, sizeBytes: 320 * MIB };
const GROUP = { offsetBytes: BOOT.offsetBytes + BOOT.sizeBytes, sizeBytes: 0 };
GROUP.sizeBytes = SYSTEM_DISK_BYTES - GROUP.offsetBytes - MIB;
const BOOT_UUID = "5b7d6a70-36a1-4d69-8d0b-7c6a1f4f6d21";
const ROOT_UUID = "e0f5c9c6-7c0e-4d3f-b7c1-3f2a90c1d5b2";
const DATA_UUID = "1c7f0a9b-52de-4b53-9a3c-64d7e2b8f0a3";
const DISK_GUID = "0d9b5f6e-5a77-4a0c-9e2e-7f10b6c4d8a5";
const GROUP_NAME = "vg0";
const DATA_TEXT = "The second disk is cloned, too.\n";
/** Changes whenever the disks would. */
const LAYOUT_VERSION = 1;

const NETWORK = `auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
	address 10.0.2.77/24
	gateway 10.0.2.2
`;

export interface LvmMachine {
  /** Raw images. The first one has the system. They are shared, so copy them. */
  paths: [system: string, data: string];
  fileSystems: { disk: number; offsetBytes: number; type: "ext4"; mountPoint: string }[];
}

export interface LvmMachineOptions {
  /** How much of the volume group is free, on the second disk. Almost none if absent. */
  spareBytes?: number;
}

/**
 * A Debian 12 machine on BIOS that is harder to clone: `/boot` on its own partition, root and `/srv` on
 * logical volumes in one volume group over two disks, and a static address. Needs root and, for the first
 * build, a Debian mirror. Creates the volume group on a loop device, without device mapper.
 */
export async function buildLvmMachine(
  cacheDir: string,
  log: (line: string) => void,
  { spareBytes = 0 }: LvmMachineOptions = {},
): Promise<LvmMachine> {
  const spare = spareBytes > 0 ? ` ${spareBytes}` : "";
  const key = digest(`${rootRecipe("bookworm")} ${NETWORK} ${LAYOUT_VERSION}${spare}`);
  const paths: LvmMachine["paths"] = [
    join(cacheDir, `debian-12-lvm-system-${key}.raw`),
    join(cacheDir, `debian-12-lvm-data-${key}.raw`),
  ];
  const machine: LvmMachine = {
    paths,
    fileSystems: [
      { disk: 0, offsetBytes: GROUP.offsetBytes + FIRST_EXTENT_BYTES, type: "ext4", mountPoint: "/" },
      { disk: 0, offsetBytes: BOOT.offsetBytes, type: "ext4", mountPoint: "/boot" },
      { disk: 1, offsetBytes: FIRST_EXTENT_BYTES, type: "ext4", mountPoint: "/srv" },
    ],
  };
  if ((await exists(paths[0])) && (await exists(paths[1]))) return machine;
  await mkdir(cacheDir, { recursive: true });
  await removeAbandonedWork(cacheDir);
  const workDir = await mkdtemp(join(cacheDir, `work-${process.pid}-`));
  try {
    const root = join(workDir, "root");
    await installedRoot(root, { cacheDir, workDir, log });
    log("installing LVM");
    await configure(root);
    log("laying out two disks with a volume group");
    const images = [join(workDir, "system.raw"), join(workDir, "data.raw")] as const;
    await layOut(images, root, { workDir, dataDiskBytes: DATA_DISK_BYTES + spareBytes });
    for (const [index, image] of images.entries()) {
      await chmod(image, 0o444);
      await rename(image, paths[index] ?? "");
    }
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
  return machine;
}

async function configure(root: string): Promise<void> {
  await installInto(root, ["lvm2"]);
  await writeFile(join(root, "etc/resolv.conf"), "nameserver 10.0.2.3\n");
  await writeFile(join(root, "etc/network/interfaces"), NETWORK);
  await appendFile(join(root, "etc/default/grub"), "GRUB_DISABLE_LINUX_UUID=true\n");
  const lines = [
    `/dev/mapper/${GROUP_NAME}-root / ext4 errors=remount-ro 0 1`,
    `UUID=${BOOT_UUID} /boot ext4 defaults 0 2`,
    `/dev/mapper/${GROUP_NAME}-srv /srv ext4 defaults 0 2`,
  ];
  await writeFile(join(root, "etc/fstab"), `${lines.join("\n")}\n`);
}

async function layOut(
  [system, data]: readonly [string, string],
  root: string,
  { workDir, dataDiskBytes }: { workDir: string; dataDiskBytes: number },
) {
  await createSparse(system, SYSTEM_DISK_BYTES);
  await createSparse(data, dataDiskBytes);
  await run("sgdisk", [
    ...["--clear", `--disk-guid=${DISK_GUID}`],
    ...[`--new=1:${sectors(BIOS_BOOT.offsetBytes)}:+1M`, "--typecode=1:ef02"],
    ...[`--new=2:${sectors(BOOT.offsetBytes)}:+${BOOT.sizeBytes / MIB}M`, "--typecode=2:8300"],
    ...[`--new=3:${sectors(GROUP.offsetBytes)}:+${GROUP.sizeBytes / MIB}M`, "--typecode=3:8e00", system],
  ]);
  await makeVolumeGroup(root, GROUP_NAME, [
    { image: system, ...GROUP, volume: "root", volumeBytes: volumeIn(GROUP).sizeBytes },
    { image: data, offsetBytes: 0, volume: "srv", volumeBytes: volumeIn(DATA_DISK).sizeBytes },
  ]);
  const rootDevice = `/dev/mapper/${GROUP_NAME}-root`;
  const grub: GrubRoot = { root, bootUuid: BOOT_UUID, partition: 2, rootDevice, bootFolder: "" };
  await writeGrubConfig(grub);
  await prepareBiosGrub(grub);
  await embedBiosGrub(system, root, BIOS_BOOT);
  const boot = join(workDir, "boot");
  await rename(join(root, "boot"), boot);
  await mkdir(join(root, "boot"));
  const srv = join(workDir, "srv");
  await mkdir(srv);
  await writeFile(join(srv, "second-disk.txt"), DATA_TEXT);
  await makeExt4(system, { ...BOOT, uuid: BOOT_UUID, label: "boot" }, boot);
  await makeExt4(system, { ...volumeIn(GROUP), uuid: ROOT_UUID, label: "root" }, root);
  await makeExt4(data, { ...volumeIn(DATA_DISK), uuid: DATA_UUID, label: "srv" }, srv);
}

/** A physical volume's only logical volume. */
function volumeIn({ offsetBytes, sizeBytes }: { offsetBytes: number; sizeBytes: number }) {
  return { offsetBytes: offsetBytes + FIRST_EXTENT_BYTES, sizeBytes: volumeBytesIn(sizeBytes) };
}

async function makeExt4(
  image: string,
  place: { offsetBytes: number; sizeBytes: number; uuid: string; label: string },
  content: string,
): Promise<void> {
  const { offsetBytes, sizeBytes, uuid, label } = place;
  await run("mke2fs", [
    ...["-q", "-F", "-t", "ext4", "-L", label, "-U", uuid, "-d", content],
    ...["-E", `offset=${offsetBytes},hash_seed=${uuid}`, image, `${sizeBytes / 1024}k`],
  ]);
}
