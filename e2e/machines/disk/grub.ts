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
  /** The root's device, if `/boot` has its own partition. */
  rootDevice?: string;
  signal?: AbortSignal | undefined;
}

/**
 * Writes `boot/grub/grub.cfg` with the root's own `grub-mkconfig`. The root is not mounted from its disk yet,
 * so `grub-probe` is replaced for this run by a script that answers for the future disk.
 */
export async function writeGrubConfig(grub: GrubRoot): Promise<void> {
  const { root, bootUuid, signal } = grub;
  const probe = join(root, "usr/sbin/grub-probe");
  const byUuid = join(root, "dev/disk/by-uuid");
  await rename(probe, `${probe}.real`);
  try {
    await mkdir(byUuid, { recursive: true });
    // grub-mkconfig names the root by its UUID only if udev has created this link.
    await writeFile(join(byUuid, bootUuid), "");
    await writeFile(probe, probeScript(grub), { mode: 0o755 });
    await mkdir(join(root, "boot/grub"), { recursive: true });
    await runContained("chroot", [root, "grub-mkconfig", "-o", "/boot/grub/grub.cfg"], { signal });
    await runContained("chroot", [root, "grub-editenv", "/boot/grub/grubenv", "create"], { signal });
  } finally {
    await rename(`${probe}.real`, probe);
    await rm(join(root, "dev/disk"), { recursive: true, force: true });
  }
}

function probeScript({ bootUuid, partition, rootDevice }: GrubRoot): string {
  const boot = `/dev/sda${partition}`;
  return `#!/bin/sh
case "$*" in
  *"--target=device /") echo ${rootDevice ?? boot} ;;
  *--target=device*) echo ${boot} ;;
  *--target=fs_uuid*) echo ${bootUuid} ;;
  *--target=fs*) echo ext2 ;;
  *--target=partmap*) echo gpt ;;
  *--target=compatibility_hint*) echo hd0,gpt${partition} ;;
  *--target=hints_string*) echo "--hint-bios=hd0,gpt${partition} --hint-efi=hd0,gpt${partition}" ;;
  *--target=abstraction*) ;;
  *) exit 1 ;;
esac
`;
}

/** Puts GRUB's modules and BIOS images into the root's `boot/grub/i386-pc`, as `grub-install` would. */
export async function prepareBiosGrub({ root, partition, rootDevice, signal }: GrubRoot): Promise<void> {
  const folder = "boot/grub/i386-pc";
  await cp(join(root, "usr/lib/grub/i386-pc"), join(root, folder), { recursive: true });
  await runContained(
    "chroot",
    [
      ...[root, "grub-mkimage", "-O", "i386-pc", "-o", `/${folder}/core.img`],
      ...["-p", `(,gpt${partition})${rootDevice ? "" : "/boot"}/grub`, "biosdisk", "part_gpt", "ext2"],
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
export async function makeEfiFiles(
  { root, bootUuid, signal }: GrubRoot,
  scratch: string,
): Promise<Record<string, string>> {
  await cp(join(root, "usr/lib/grub/x86_64-efi"), join(root, "boot/grub/x86_64-efi"), { recursive: true });
  const modules = ["part_gpt", "fat", "ext2", "search", "search_fs_uuid", "configfile", "normal", "test"];
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
    `search.fs_uuid ${bootUuid} root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n`,
  );
  return { "EFI/debian/grubx64.efi": image, "EFI/debian/grub.cfg": config, "EFI/BOOT/BOOTX64.EFI": image };
}
