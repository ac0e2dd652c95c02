import { expect, test } from "vitest";
import { RecordedMachine } from "../machine/testing/recorded-machine.ts";
import { collectUnlocking, unlockingOf } from "./unlocking.ts";

const UUID = "UUID=0d6d4c5e-2b1a-4e57-9f3c-6d2b7f0a1c11";

test.each([
  ["no encrypted volume", "# <target name> <source device> <key file> <options>\n", "none"],
  ["a volume that asks for its passphrase", `sda3_crypt ${UUID} none luks,discard\n`, "by-hand"],
  ["a dash, which is the same as none", `sda3_crypt\t${UUID}\t-\tluks`, "by-hand"],
  ["nothing but a name and a device", `data ${UUID}`, "by-hand"],
  ["a key file", `data ${UUID} /etc/keys/data.key luks`, "by-itself"],
  ["the TPM", `root ${UUID} none luks,tpm2-device=auto`, "by-itself"],
  ["a key script", `root ${UUID} none luks,keyscript=decrypt_derived`, "by-itself"],
  ["a volume that is opened later, by hand", `backup ${UUID} none luks,noauto`, "none"],
  ["swap with a new key each time", "swap /dev/sda2 /dev/urandom swap,cipher=aes-xts-plain64", "by-itself"],
  ["a key file and a passphrase", `a ${UUID} /key luks\nb ${UUID} none luks`, "by-hand"],
])("crypttab with %s", (_, crypttab, expected) => {
  expect(unlockingOf(crypttab, "root=/dev/mapper/root ro")).toBe(expected);
});

test.each([
  ["rd.luks.uuid=luks-1 root=/dev/mapper/luks-1", "by-hand"],
  ["cryptdevice=/dev/sda3:root root=/dev/mapper/root", "by-hand"],
  ["rd.luks.name=1=root rd.luks.options=tpm2-device=auto", "by-itself"],
  ["cryptdevice=/dev/sda3:root cryptkey=rootfs:/key", "by-itself"],
  ["root=UUID=1 quiet", "none"],
])("without a table the kernel's command line tells: %s", (commandLine, expected) => {
  expect(unlockingOf("", commandLine)).toBe(expected);
});

test("with Clevis it cannot be told who opens what would be asked for", async () => {
  const files = { "/etc/crypttab": `root ${UUID} none luks\n`, "/proc/cmdline": "root=/dev/mapper/root" };
  expect(await collectUnlocking(new RecordedMachine({ files }))).toBe("by-hand");
  const withClevis = new RecordedMachine({ files: { ...files, "/usr/bin/clevis": "" } });
  expect(await collectUnlocking(withClevis)).toBe("unknown");
});

test("where nothing can be read nothing is guessed", async () => {
  expect(await collectUnlocking(new RecordedMachine({}))).toBe("unknown");
});
