/** For tests: systemd-boot, as it describes itself to the system that it started. */
import type { RootedMachine } from "./fake-machine.ts";

const INTERFACE = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

export async function installSystemdBoot(machine: RootedMachine, features = 0x1ffn): Promise<void> {
  await machine.putVariable(`LoaderInfo-${INTERFACE}`, Buffer.from("systemd-boot 252\0", "utf16le"), 6);
  await machine.putVariable(`LoaderEntrySelected-${INTERFACE}`, Buffer.from("debian.conf\0", "utf16le"), 6);
  const flags = Buffer.alloc(8);
  flags.writeBigUInt64LE(features);
  await machine.putVariable(`LoaderFeatures-${INTERFACE}`, flags, 6);
  await machine.put("/boot/efi/loader/loader.conf", "timeout 3\n", 0o700);
  await machine.put("/boot/efi/loader/entries/debian.conf", "title Debian\nlinux /vmlinuz\n", 0o700);
  await machine.put("/boot/efi/vmlinuz", "kernel", 0o700);
  await machine.put("/boot/efi/EFI/systemd/systemd-bootx64.efi", "MZ", 0o700);
}
