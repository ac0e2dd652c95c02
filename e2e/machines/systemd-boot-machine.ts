import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./disk/command.ts";
import { copyDisk } from "./disk/copy-disk.ts";
import type { OriginalDisks } from "./machine-site.ts";

/**
 * The same Debian machine on UEFI with systemd-boot instead of GRUB, and its kernel on the EFI system
 * partition. `loader` is the path of `systemd-bootx64.efi`.
 */
export async function systemdBootMachine(
  { paths, fileSystems }: OriginalDisks,
  { loader, dir }: { loader: string; dir: string },
): Promise<OriginalDisks> {
  const [root, esp] = ["/", "/boot/efi"].map((each) =>
    fileSystems.find(({ mountPoint }) => mountPoint === each),
  );
  if (!root || !esp || !paths[0]) throw new Error("this machine has no EFI system partition");
  await mkdir(dir, { recursive: true });
  const disk = join(dir, "systemd-boot.raw");
  await copyDisk(paths[0], disk);
  const rootDisk = `${disk}?offset=${root.offsetBytes}`;
  const ask = (request: string) => run("debugfs", ["-R", request, rootDisk]);
  const version = /\/vmlinuz-([^/]+)\//.exec(await ask("ls -p /boot"))?.[1] ?? "";
  const uuid = /UUID:\s+(\S+)/.exec(await ask("stats -h"))?.[1] ?? "";
  const files: [name: string, source: string][] = [["EFI/BOOT/BOOTX64.EFI", loader]];
  for (const name of ["vmlinuz", "initrd.img"]) {
    await ask(`dump /boot/${name}-${version} ${join(dir, name)}`);
    files.push([name, join(dir, name)]);
  }
  const entry = `title Debian\nversion ${version}\nlinux /vmlinuz\ninitrd /initrd.img\noptions root=UUID=${uuid} ro net.ifnames=0 console=tty0 console=ttyS0,115200\n`;
  for (const [name, text] of [
    [`loader/entries/debian.conf`, entry],
    ["loader/loader.conf", "timeout 2\n"],
  ] as const) {
    const source = join(dir, name.replaceAll("/", "-"));
    await writeFile(source, text);
    files.push([name, source]);
  }
  const partition = `${disk}@@${esp.offsetBytes}`;
  await run("mdeltree", ["-i", partition, "::/EFI/debian"]);
  await run("mmd", ["-i", partition, "::/loader", "::/loader/entries"]);
  for (const [name, source] of files) await run("mcopy", ["-o", "-i", partition, source, `::/${name}`]);
  for (const [, source] of files.slice(1)) await rm(source);
  return { paths: [disk], fileSystems };
}
