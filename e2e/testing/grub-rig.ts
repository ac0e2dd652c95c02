/** A real GRUB in QEMU. Its entries only print their names on the serial port. */
import { cp, mkdir, rm, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { run } from "../machines/disk/command.ts";
import { embedBiosGrub } from "../machines/disk/grub.ts";
import { watchSerial } from "./watch-serial.ts";

const MIB = 2 ** 20;
const DISK_BYTES = 8 * MIB;
/** Between the first sector and the partition. */
const CORE_PLACE = { offsetBytes: 512, sizeBytes: MIB - 512 };
const FOLDER = "/boot/grub";
const MODULES = [
  ...["biosdisk", "part_msdos", "fat", "serial", "terminal", "normal", "configfile", "test", "echo", "linux"],
  ...["search", "search_fs_uuid", "search_label", "loadenv", "sleep", "read", "password", "halt", "reboot"],
  ...["keystatus", "boot", "extcmd", "true", "minicmd", "eval", "regexp"],
];
const ON_SERIAL = "serial --unit=0 --speed=115200\nterminal_input serial\nterminal_output serial\n";

export interface GrubRig {
  /** The disk with GRUB, whose file system has no configuration yet. */
  disk: string;
}

/** `modules` is GRUB's `i386-pc` folder, in any version that the installed grub-mkimage understands. */
export async function makeGrubRig(
  dir: string,
  modules: string,
  sizeBytes: number = DISK_BYTES,
): Promise<GrubRig> {
  const images = join(dir, "root/boot/grub/i386-pc");
  await mkdir(images, { recursive: true });
  await cp(join(modules, "boot.img"), join(images, "boot.img"));
  await writeFile(join(dir, "core.cfg"), ON_SERIAL);
  await run("grub-mkimage", [
    ...["-O", "i386-pc", "-d", modules, "-c", join(dir, "core.cfg"), "-o", join(images, "core.img")],
    ...["-p", `(hd0,msdos1)${FOLDER}`, ...MODULES],
  ]);
  const disk = join(dir, "disk.raw");
  await writeFile(disk, "");
  await truncate(disk, sizeBytes);
  await run("sfdisk", ["-q", disk], { input: "label: dos\nstart=2048, type=c, bootable\n" });
  await run("mformat", ["-i", `${disk}@@1M`, "-T", String((sizeBytes - MIB) / 512), "-N", "1a2b3c4d", "::"]);
  await run("mmd", ["-i", `${disk}@@1M`, "::/boot", `::${FOLDER}`]);
  await embedBiosGrub(disk, join(dir, "root"), CORE_PLACE);
  return { disk };
}

/**
 * Starts it once with these files in GRUB's folder; returns the entry that it starts, or `undefined` while
 * it waits.
 */
export async function startGrub(
  { disk }: GrubRig,
  files: Readonly<Record<string, string | Uint8Array>>,
  { waitSeconds }: { waitSeconds: number },
): Promise<string | undefined> {
  const dir = `${disk}.${Math.random().toString(36).slice(2)}`;
  await mkdir(dir);
  const own = join(dir, "disk.raw");
  try {
    await cp(disk, own);
    for (const [name, content] of Object.entries(files)) {
      const file = join(dir, "file");
      await writeFile(file, content);
      const folder = dirname(name);
      if (folder !== ".") await run("mmd", ["-D", "s", "-i", `${own}@@1M`, `::${FOLDER}/${folder}`]);
      await run("mcopy", ["-o", "-i", `${own}@@1M`, file, `::${FOLDER}/${name}`]);
    }
    return await watch(own, waitSeconds);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** What GRUB shows when it asks a person, and what when it counts down instead of waiting for a key. */
const SHOWN = {
  asks: /Enter (username|a line)|BASH-like/,
  menu: /GNU GRUB/,
  counts: /executed automatically/,
};

function watch(disk: string, waitSeconds: number): Promise<string | undefined> {
  return watchSerial(["-drive", `file=${disk},format=raw,if=ide,cache=unsafe`], SHOWN, waitSeconds);
}
