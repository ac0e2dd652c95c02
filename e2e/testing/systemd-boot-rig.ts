/** A real systemd-boot in QEMU, with one entry that says its name on the serial port. */
import { cp, mkdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SystemdBootCase } from "#agent/boot-loaders/return/testing/systemd-boot-cases.ts";
import { run } from "../machines/disk/command.ts";
import { watchSerial } from "./watch-serial.ts";

const INTERFACE = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
const FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd";
const SAYS_ITS_NAME = "serial --unit=0\nterminal_output serial\necho STARTED:a\nsleep 1000\n";
const SHOWN = { asks: /(?!)/, menu: /Entry a/, counts: /Boot in \d+/ };

/** The disk; `program`: systemd-boot's own. */
export async function makeSystemdBootRig(dir: string, program: string): Promise<string> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, "core.cfg"), SAYS_ITS_NAME);
  await run("grub-mkimage", [
    ...["-O", "x86_64-efi", "-c", join(dir, "core.cfg"), "-p", "/none", "-o", join(dir, "a.efi")],
    ...["serial", "echo", "sleep", "terminal", "normal"],
  ]);
  const disk = join(dir, "disk.raw");
  await writeFile(disk, "");
  await truncate(disk, 40 * 2 ** 20);
  await run("mformat", ["-i", disk, "-F", "::"]);
  await run("mmd", ["-i", disk, "::/loader", "::/loader/entries", "::/EFI", "::/EFI/systemd"]);
  await run("mcopy", ["-i", disk, program, "::/EFI/systemd/systemd-bootx64.efi"]);
  await run("mcopy", ["-i", disk, join(dir, "a.efi"), "::/a.efi"]);
  await writeFile(join(dir, "a.conf"), "title Entry a\nefi /a.efi\n");
  await run("mcopy", ["-i", disk, join(dir, "a.conf"), "::/loader/entries/a.conf"]);
  return disk;
}

/** Whether it starts the entry; the firmware's shell sets the variables and starts systemd-boot. */
export async function systemdBootStarts(
  disk: string,
  { configuration, variables = {} }: SystemdBootCase,
  { waitSeconds }: { waitSeconds: number },
): Promise<boolean> {
  const dir = `${disk}.run`;
  await mkdir(dir);
  try {
    const [own, flash] = [join(dir, "disk.raw"), join(dir, "variables.fd")];
    await cp(disk, own);
    await cp(VARIABLES, flash);
    const sets = Object.entries(variables).map(
      ([name, value]) => `setvar ${name} -guid ${INTERFACE} -bs -rt -nv =L"${value}" =0x0000`,
    );
    const script = [...sets, "fs0:", "\\EFI\\systemd\\systemd-bootx64.efi", ""].join("\r\n");
    for (const [path, content] of [
      ["/startup.nsh", script],
      ["/loader/loader.conf", configuration],
    ] as const) {
      await writeFile(join(dir, "file"), content);
      await run("mcopy", ["-o", "-i", own, join(dir, "file"), `::${path}`]);
    }
    const options = [
      ...["-machine", "q35", "-m", "256", "-device", "virtio-blk-pci,drive=disk"],
      ...["-drive", `if=pflash,format=raw,unit=0,readonly=on,file=${FIRMWARE}`],
      ...["-drive", `if=pflash,format=raw,unit=1,file=${flash}`],
      ...["-drive", `file=${own},format=raw,if=none,id=disk`],
    ];
    return (await watchSerial(options, SHOWN, waitSeconds)) !== undefined;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
