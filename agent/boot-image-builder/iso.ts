import { mkdir, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Sysroot } from "./sysroot.ts";

export interface IsoOptions {
  sysroot: Sysroot;
  /** An empty folder to work in. */
  workDir: string;
  kernel: Buffer;
  initrd: Buffer;
  commandLine: string;
  /** Distinguishes this image from others in the same machine. */
  mark: string;
  sourceDateEpoch: number;
  output: string;
}

const MODULES = [
  "iso9660",
  "search",
  "search_fs_file",
  "normal",
  "configfile",
  "linux",
  "test",
  "echo",
  "reboot",
].concat(["serial", "terminal", "gfxterm", "font", "part_gpt", "part_msdos"]);
const ESP_BYTES = 4 * 2 ** 20;
const EFI_PROGRAM = "EFI/BOOT/BOOTX64.EFI";

/**
 * A CD image that BIOS and UEFI can start, from a CD or copied unchanged to a USB stick. GRUB loads the
 * kernel and the RAM disk.
 */
export async function writeIso(options: IsoOptions): Promise<void> {
  const { sysroot, workDir, kernel, initrd, mark, commandLine, sourceDateEpoch } = options;
  const tree = join(workDir, "tree");
  const files: Record<string, Buffer | string> = {
    "boot/vmlinuz": kernel,
    "boot/initrd.zst": initrd,
    "boot/grub/grub.cfg": grubConfiguration(commandLine),
    [`boot/${mark}`]: "",
  };
  const early = join(workDir, "early.cfg");
  await put(early, `search --file --set=root /boot/${mark}\nset prefix=($root)/boot/grub\n`);
  for (const [path, content] of Object.entries(files)) await put(join(tree, path), content);
  const bios = join(tree, "boot/grub/eltorito.img");
  await makeGrub(sysroot, {
    format: "i386-pc-eltorito",
    platform: "i386-pc",
    modules: ["biosdisk"],
    early,
    output: bios,
  });
  const efi = join(workDir, "grub.efi");
  const efiModules = ["fat", "efi_gop", "efi_uga"];
  await makeGrub(sysroot, {
    format: "x86_64-efi",
    platform: "x86_64-efi",
    modules: efiModules,
    early,
    output: efi,
  });
  const esp = join(workDir, "esp.img");
  await writeEsp(sysroot, { output: esp, program: efi, sourceDateEpoch });
  for (const path of [...Object.keys(files), "boot/grub/eltorito.img"]) {
    await utimes(join(tree, path), sourceDateEpoch, sourceDateEpoch);
  }
  for (const folder of ["boot/grub", "boot", "."]) {
    await utimes(join(tree, folder), sourceDateEpoch, sourceDateEpoch);
  }
  const layout = [
    "-b",
    "boot/grub/eltorito.img",
    "-no-emul-boot",
    "-boot-load-size",
    "4",
    "-boot-info-table",
  ];
  const uefi = ["-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot"];
  await sysroot.run(
    "/usr/bin/xorriso",
    [
      ...["-no_rc", "-as", "mkisofs", "-quiet", "-r", "-J", "-V", "CAUSEWAY", "-o", options.output],
      ...["--grub2-mbr", join(sysroot.dir, "usr/lib/grub/i386-pc/boot_hybrid.img"), "--grub2-boot-info"],
      ...["-partition_offset", "16", "-appended_part_as_gpt", "-append_partition", "2", "0xef", esp],
      ...layout,
      ...uefi,
      tree,
    ],
    { environment: environment(sourceDateEpoch) },
  );
}

/** A FAT file system with one program where firmware looks for it. */
async function writeEsp(
  sysroot: Sysroot,
  { output, program, sourceDateEpoch }: { output: string; program: string; sourceDateEpoch: number },
): Promise<void> {
  await writeFile(output, Buffer.alloc(ESP_BYTES));
  await utimes(program, sourceDateEpoch, sourceDateEpoch);
  const mtools = (tool: string, ...args: string[]) =>
    sysroot.run("/usr/bin/mtools", ["-c", tool, "-i", output, ...args], {
      environment: environment(sourceDateEpoch),
    });
  await mtools("mformat", "-v", "CAUSEWAY", "-N", "00000001", "::");
  await mtools("mmd", "::/EFI", `::/${dirname(EFI_PROGRAM)}`);
  await mtools("mcopy", "-m", program, `::/${EFI_PROGRAM}`);
}

function makeGrub(
  sysroot: Sysroot,
  core: { format: string; platform: string; modules: string[]; early: string; output: string },
): Promise<string> {
  return sysroot.run("/usr/bin/grub-mkimage", [
    ...["-O", core.format, "-d", join(sysroot.dir, "usr/lib/grub", core.platform)],
    ...["-p", "/boot/grub", "-c", core.early, "-o", core.output, ...MODULES, ...core.modules],
  ]);
}

function grubConfiguration(commandLine: string): string {
  return `set timeout=5
if serial --unit=0 --speed=115200; then
  terminal_input console serial
  terminal_output console serial
fi
menuentry "Causeway: make this computer ready for cold cloning" {
  echo "Loading the boot environment."
  linux /boot/vmlinuz ${commandLine}
  initrd /boot/initrd.zst
}
menuentry "Leave, and start as always" {
  exit
}
`;
}

function environment(sourceDateEpoch: number): Record<string, string> {
  return {
    SOURCE_DATE_EPOCH: String(sourceDateEpoch),
    TZ: "UTC",
    MTOOLSRC: "/dev/null",
    MTOOLS_SKIP_CHECK: "1",
  };
}

async function put(path: string, content: Buffer | string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}
