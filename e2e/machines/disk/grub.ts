import { cp, mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runContained } from "./command.ts";

/**
 * The fields of GRUB's `boot.img` in the first sector, and the values that `grub-bios-setup` writes there.
 */
const BOOT_CODE_BYTES = 440;
const KERNEL_SECTOR_OFFSET = 0x5c;
const BOOT_DRIVE_CHECK_OFFSET = 0x66;
const TWO_NOPS = 0x9090;
/** The field in the first sector of `core.img` that says at which sector the rest starts. */
const CORE_BLOCK_LIST_OFFSET = 0x1f4;

const SECTOR_BYTES = 512;

export interface GrubRoot {
  /** The unpacked root. */
  root: string;
  /** The UUID of the file system with `/boot`. */
  bootUuid: string;
  /** Number of its partition in the GPT. */
  partition: number;
  /** GRUB's module for that file system: `ext2`, also for ext4, if absent. */
  bootModule?: string;
  /** Where `/boot` is in that file system: `/boot` if absent, empty if the file system is its own. */
  bootFolder?: string;
  /** What the partition contains besides that file system. */
  container?: { modules: readonly string[]; device: string } | undefined;
  /** The root's device, if it is not that partition. */
  rootDevice?: string | undefined;
  /** The root's subvolume, if it is a btrfs. */
  subvolume?: string | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Writes `boot/grub/grub.cfg` with the root's own `grub-mkconfig`. The root is not mounted from its disk yet,
 * so the programs that look for the disk are replaced for this run by scripts that answer for the future one.
 */
export async function writeGrubConfig(grub: GrubRoot): Promise<void> {
  const { root, bootUuid, signal } = grub;
  const scripts = [
    { path: join(root, "usr/sbin/grub-probe"), text: probeScript(grub) },
    { path: join(root, "usr/bin/grub-mkrelpath"), text: pathScript(grub) },
  ];
  const byUuid = join(root, "dev/disk/by-uuid");
  for (const { path } of scripts) await rename(path, `${path}.real`);
  try {
    await mkdir(byUuid, { recursive: true });
    // grub-mkconfig names the root by its UUID only if udev has created this link.
    await writeFile(join(byUuid, bootUuid), "");
    for (const { path, text } of scripts) await writeFile(path, text, { mode: 0o755 });
    await mkdir(join(root, "boot/grub"), { recursive: true });
    await runContained("chroot", [root, "grub-mkconfig", "-o", "/boot/grub/grub.cfg"], { signal });
    await runContained("chroot", [root, "grub-editenv", "/boot/grub/grubenv", "create"], { signal });
  } finally {
    for (const { path } of scripts) await rename(`${path}.real`, path);
    await rm(join(root, "dev/disk"), { recursive: true, force: true });
  }
}

function probeScript({ bootUuid, partition, rootDevice, bootModule = "ext2", container }: GrubRoot): string {
  const boot = `/dev/sda${partition}`;
  const hint = container?.device ?? `hd0,gpt${partition}`;
  const hints = container ? "" : `--hint-bios=${hint} --hint-efi=${hint}`;
  return `#!/bin/sh
case "$*" in
  *"--target=device /") echo ${rootDevice ?? boot} ;;
  *--target=device*) echo ${boot} ;;
  *--target=fs_uuid*) echo ${bootUuid} ;;
  *--target=fs*) echo ${bootModule} ;;
  *--target=partmap*) echo gpt ;;
  *--target=compatibility_hint*) echo ${hint} ;;
  *--target=hints_string*) echo "${hints}" ;;
  *--target=abstraction*) echo "${container?.modules.join("\n") ?? ""}" ;;
  *) exit 1 ;;
esac
`;
}

/** Says where a file is on its file system, of which `/boot` may be the top. */
function pathScript({ bootFolder = "/boot", subvolume }: GrubRoot): string {
  const top = subvolume === undefined ? "" : `/${subvolume}`;
  return `#!/bin/sh
for path; do :; done
case "$path" in
  /boot*) echo "${bootFolder}\${path#/boot}" ;;
  /) echo "${top}" ;;
  *) echo "${top}$path" ;;
esac
`;
}

/** Puts GRUB's modules and BIOS images into the root's `boot/grub/i386-pc`, as `grub-install` would. */
export async function prepareBiosGrub(grub: GrubRoot): Promise<void> {
  const { root, partition, bootFolder = "/boot", bootModule = "ext2", container, signal } = grub;
  const folder = "boot/grub/i386-pc";
  await cp(join(root, "usr/lib/grub/i386-pc"), join(root, folder), { recursive: true });
  await runContained(
    "chroot",
    [
      ...[root, "grub-mkimage", "-O", "i386-pc", "-o", `/${folder}/core.img`],
      ...["-p", `(${container?.device ?? `,gpt${partition}`})${bootFolder}/grub`],
      ...["biosdisk", "part_gpt", ...(container?.modules ?? []), bootModule],
    ],
    { signal },
  );
}

/**
 * Writes the images made by `prepareBiosGrub` into the image's boot sector and BIOS boot partition, each
 * with the position of the next.
 */
export async function embedBiosGrub(
  imagePath: string,
  root: string,
  biosBoot: { offsetBytes: number; sizeBytes: number },
): Promise<void> {
  const folder = join(root, "boot/grub/i386-pc");
  const boot = await readFile(join(folder, "boot.img"));
  const core = await readFile(join(folder, "core.img"));
  if (core.length > biosBoot.sizeBytes) throw new Error("GRUB's core image exceeds the BIOS boot partition");
  const firstSector = BigInt(biosBoot.offsetBytes / SECTOR_BYTES);
  boot.writeBigUInt64LE(firstSector, KERNEL_SECTOR_OFFSET);
  // Trusts the drive number that the BIOS passes, except for floppies, as grub-bios-setup does on a hard
  // disk.
  boot.writeUInt16LE(TWO_NOPS, BOOT_DRIVE_CHECK_OFFSET);
  core.writeBigUInt64LE(firstSector + 1n, CORE_BLOCK_LIST_OFFSET);

  const image = await open(imagePath, "r+");
  try {
    // Only the code: the partition table shares this sector.
    await image.write(boot, 0, BOOT_CODE_BYTES, 0);
    await image.write(core, 0, core.length, biosBoot.offsetBytes);
    await image.sync();
  } finally {
    await image.close();
  }
}

/**
 * The EFI system partition's files, by path: Debian's names, plus the firmware's fallback. They are in
 * `scratch` until they are copied.
 */
export async function makeEfiFiles(grub: GrubRoot, scratch: string): Promise<Record<string, string>> {
  const { root, bootUuid, bootFolder = "/boot", bootModule = "ext2", container, signal } = grub;
  await cp(join(root, "usr/lib/grub/x86_64-efi"), join(root, "boot/grub/x86_64-efi"), { recursive: true });
  const modules = [
    ...["part_gpt", "fat", ...(container?.modules ?? []), bootModule],
    ...["search", "search_fs_uuid", "configfile", "normal", "test"],
  ];
  const built = "/tmp/grubx64.efi";
  await runContained(
    "chroot",
    [root, "grub-mkimage", "-O", "x86_64-efi", "-o", built, "-p", "/EFI/debian", ...modules],
    { signal },
  );
  const image = join(scratch, "grubx64.efi");
  await cp(join(root, built), image);
  await rm(join(root, built));
  const config = join(scratch, "grub.cfg");
  await writeFile(
    config,
    `search.fs_uuid ${bootUuid} root\nset prefix=($root)'${bootFolder}/grub'\nconfigfile $prefix/grub.cfg\n`,
  );
  return { "EFI/debian/grubx64.efi": image, "EFI/debian/grub.cfg": config, "EFI/BOOT/BOOTX64.EFI": image };
}
