/**
 * For tests: a machine with three disks beside that of its system: a RAID1 over two of them, in it LUKS, in
 * that LVM with an ext4, an XFS and a raw volume; and one with vfat, swap, btrfs and a raw partition. A
 * program writes records to all of them.
 */
import { randomBytes } from "node:crypto";
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FAULTY_PROGRAM } from "#agent/tracking/testing/tracked-disk.ts";
import { type Addition, addFiles } from "../machines/disk/add-files.ts";
import { run } from "../machines/disk/command.ts";
import { createSparse, sectors } from "../machines/disk/debian-disk.ts";
import type { Software } from "../machines/disk/debian-root.ts";
import { debianMachine, type OriginalDisks } from "../machines/machine-site.ts";

const MIB = 2 ** 20;

/** Of the disks beside the system's. Different sizes tell them apart. */
export const DISK_BYTES: readonly number[] = [160 * MIB, 161 * MIB, 232 * MIB];
export const MEMBERS: readonly number[] = [0, 1];
export const PARTITIONED = 2;
/** Where the array's content begins in its members, and that of LUKS in the array. */
export const ARRAY_OFFSET_BYTES: number = MIB;
export const LUKS_OFFSET_BYTES: number = 16 * MIB;
export const LUKS_SECTOR_BYTES = 4096;
const LUKS_KEY_BYTES = 64;
export const GROUP = "layers";
const VOLUMES = { ext4: 40, xfs: 64, raw: 16 };

export interface Partition {
  number: number;
  type: "vfat" | "swap" | "btrfs" | "raw";
  offsetBytes: number;
  sizeBytes: number;
}

export const PARTITIONS: readonly Partition[] = [
  { number: 1, type: "vfat", offsetBytes: MIB, sizeBytes: 32 * MIB },
  { number: 2, type: "swap", offsetBytes: 33 * MIB, sizeBytes: 32 * MIB },
  { number: 3, type: "btrfs", offsetBytes: 65 * MIB, sizeBytes: 128 * MIB },
  { number: 4, type: "raw", offsetBytes: 193 * MIB, sizeBytes: 16 * MIB },
];

const deviceOf = (disk: number) => `/dev/disk/by-id/ata-QEMU_HARDDISK_CAUSEWAY${disk + 1}`;
const partition = (number: number) => `${deviceOf(PARTITIONED)}-part${number}`;

/** Where records are. Those of `together` are written in turn: a copy shows whether it has one instant. */
export const PLACES = {
  together: { ext4: "/srv/ext4/records", xfs: "/srv/xfs/records", btrfs: "/srv/btrfs/records" },
  /** No freeze stops these. */
  alone: { vfat: "/srv/vfat/records", volume: `/dev/${GROUP}/raw`, partition: partition(4) },
} as const;

/** What the console shows at each start, once there are records everywhere. */
export const WRITTEN = /RECORDS ARE WRITTEN/;
/** What it shows while file systems are frozen, and some seconds later, before they are thawed. */
export const FROZEN = /EVERYTHING IS FROZEN/;
export const THAWING = /EVERYTHING IS THAWED/;
const FROZEN_SECONDS = 3;

const SOFTWARE: Software = {
  packages: ["lvm2", "mdadm", "cryptsetup-bin", "xfsprogs", "btrfs-progs"],
  files: {},
  modules: ["fs/xfs", "fs/btrfs"],
};

const FOLDER = "/opt/layers";
const CONSOLE = "/dev/ttyS0";
const KEYS = `--key-file ${FOLDER}/passphrase`;

const UP = `#!/bin/sh
set -ex
modprobe -a raid1 dm_crypt xfs btrfs vfat
udevadm settle
cp ${FOLDER}/tracker /opt/causeway/causeway-tracker
members="${MEMBERS.map(deviceOf).join(" ")}"
if [ ! -e ${FOLDER}/made ]; then
  mdadm --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 --metadata=1.2 --bitmap=none \\
    --data-offset=${ARRAY_OFFSET_BYTES / MIB}M $members
  cryptsetup luksFormat -q --type luks2 --volume-key-file ${FOLDER}/volume-key --key-size ${LUKS_KEY_BYTES * 8} \\
    --cipher aes-xts-plain64 --sector-size ${LUKS_SECTOR_BYTES} --offset ${LUKS_OFFSET_BYTES / 512} \\
    --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/md0 ${FOLDER}/passphrase
  cryptsetup open ${KEYS} /dev/md0 unlocked
  vgcreate --dataalignment 1m ${GROUP} /dev/mapper/unlocked
${Object.entries(VOLUMES)
  .map(([name, sizeMib]) => `  lvcreate -y -L ${sizeMib}m -n ${name} ${GROUP}`)
  .join("\n")}
  udevadm settle
  mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 /dev/${GROUP}/ext4
  mkfs.xfs -q --unsupported /dev/${GROUP}/xfs
  mkfs.vfat ${partition(1)}
  # What was in memory once is not to be copied.
  dd if=/dev/urandom of=${partition(2)} bs=1M count=32 status=none
  mkswap ${partition(2)}
  mkfs.btrfs -q ${partition(3)}
  mkdir /srv/ext4 /srv/xfs /srv/vfat /srv/btrfs
  touch ${FOLDER}/made
else
  mdadm --stop --scan || true
  mdadm --assemble --run /dev/md0 $members
  # After a power cut, the members are made equal first; before the first write to it, an array waits with that.
  mdadm --readwrite /dev/md0
  mdadm --wait /dev/md0 || true
  cryptsetup open ${KEYS} /dev/md0 unlocked
  vgchange -ay ${GROUP}
  # As a system does with what was not unmounted: with an error in it, vfat becomes read-only.
  fsck.vfat -a ${partition(1)} || true
fi
udevadm settle
mount /dev/${GROUP}/ext4 /srv/ext4
mount /dev/${GROUP}/xfs /srv/xfs
mount ${partition(1)} /srv/vfat
mount ${partition(3)} /srv/btrfs
swapon ${partition(2)}
`;

/** As those of fstab and crypttab, what is mounted is there before the agent. */
const UP_UNIT = `[Unit]
Before=causeway-agent.service
[Service]
Type=oneshot
RemainAfterExit=yes
# Not to the console directly: when its login starts, what is open there is cut off.
StandardOutput=journal+console
ExecStart=${FOLDER}/up
[Install]
WantedBy=multi-user.target
`;

const groups = [Object.values(PLACES.together).join(","), ...Object.values(PLACES.alone)];
const RECORDS_UNIT = `[Unit]
Requires=layers.service
After=layers.service
[Service]
StandardOutput=journal+console
ExecStart=/opt/causeway/node ${FOLDER}/record-writer.ts ${groups.join(" ")}
[Install]
WantedBy=multi-user.target
`;

/** The tracker's program. Before a thaw it waits until this computer can have copied the disks. */
const TRACKER = `#!/bin/sh
say() { echo "echo $1 > ${CONSOLE}"; }
case $1 in
freeze-read)
  witness="$(say "${FROZEN.source}"); sleep ${FROZEN_SECONDS}; $(say "${THAWING.source}")"
  exec ${FOLDER}/causeway-tracker-test "$@" --limit-ms 60000 --witness "$witness" ;;
*) exec ${FOLDER}/causeway-tracker-test "$@" ;;
esac
`;

export interface LayeredMachine {
  original: OriginalDisks;
  volumeKey: Buffer;
}

/** Makes its disks in a folder. What is on the disks other than the system's is made at the first start. */
export async function layeredMachine(dir: string, log: (line: string) => void): Promise<LayeredMachine> {
  const built = await debianMachine({ firmware: "bios", software: SOFTWARE, log });
  const system = join(dir, "original-system.raw");
  await copyFile(built.paths[0] ?? "", system);
  const others = DISK_BYTES.map((_, disk) => join(dir, `original-${disk}.raw`));
  for (const [disk, path] of others.entries()) await createSparse(path, DISK_BYTES[disk] ?? 0);
  const parts = PARTITIONS.flatMap(({ number, offsetBytes, sizeBytes }) => [
    `--new=${number}:${sectors(offsetBytes)}:+${sizeBytes / MIB}M`,
  ]);
  await run("sgdisk", ["--clear", ...parts, others[PARTITIONED] ?? ""]);
  const volumeKey = randomBytes(LUKS_KEY_BYTES);
  await addFiles(system, built.fileSystems[0]?.offsetBytes ?? 0, await additions(dir, volumeKey));
  return { original: { paths: [system, ...others], fileSystems: built.fileSystems }, volumeKey };
}

async function additions(dir: string, volumeKey: Buffer): Promise<Addition[]> {
  const added: Addition[] = ["record-writer.ts", "written-record.ts"].map((name) => ({
    path: join(FOLDER, name),
    source: join(import.meta.dirname, name),
    mode: 0o644,
  }));
  added.push({ path: join(FOLDER, "causeway-tracker-test"), source: FAULTY_PROGRAM, mode: 0o755 });
  const units = "/etc/systemd/system";
  const written: [path: string, content: string | Buffer, mode: number][] = [
    [join(FOLDER, "package.json"), '{"type":"module"}\n', 0o644],
    [join(FOLDER, "volume-key"), volumeKey, 0o600],
    [join(FOLDER, "passphrase"), "correct horse battery", 0o600],
    [join(FOLDER, "up"), UP, 0o755],
    [join(FOLDER, "tracker"), TRACKER, 0o755],
    [join(units, "layers.service"), UP_UNIT, 0o644],
    [join(units, "records.service"), RECORDS_UNIT, 0o644],
  ];
  for (const [index, [path, content, mode]] of written.entries()) {
    const source = join(dir, `added-${index}`);
    await writeFile(source, content);
    added.push({ path, source, mode });
  }
  for (const unit of ["layers.service", "records.service"])
    added.push({ path: `${units}/multi-user.target.wants/${unit}`, linkTo: join(units, unit) });
  return added;
}
