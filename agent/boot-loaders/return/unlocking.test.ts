import { expect, test } from "vitest";
import { together, volumesInTable, volumesOnCommandLine } from "./encrypted-volumes.ts";
import { judgeVolumeFacts, type VolumeFacts } from "./unlocking.ts";

const UUID = "UUID=0d6d4c5e-2b1a-4e57-9f3c-6d2b7f0a1c11";
const TPM = [{ type: "systemd-tpm2", needsPin: false }];
const CLEVIS = [{ type: "clevis", needsPin: false }];

function verdictOf(line: string, facts: Partial<VolumeFacts> = {}): string {
  const [volume] = volumesInTable(line);
  if (!volume) throw new Error("no volume");
  return judgeVolumeFacts({
    ...{ volume, isNeeded: true, tokens: [], keyFile: "absent", initrd: undefined, isClevisAsked: false },
    ...facts,
  }).verdict;
}

test.each<[string, string, Partial<VolumeFacts>, string]>([
  ["a passphrase", `root ${UUID} none luks,discard`, {}, "attended"],
  ["a dash, which is the same as none", `root\t${UUID}\t-\tluks`, {}, "attended"],
  ["nothing but a name and a device", `data ${UUID}`, {}, "attended"],
  ["options that open nothing", `root ${UUID} none discard,no-read-workqueue`, {}, "attended"],
  ["the TPM", `root ${UUID} none luks,tpm2-device=auto`, { tokens: TPM }, "unattended"],
  [
    "the TPM with a PIN in the table",
    `root ${UUID} - tpm2-device=auto,tpm2-pin=yes`,
    { tokens: TPM },
    "attended",
  ],
  [
    "the TPM with a PIN in the header",
    `root ${UUID} - tpm2-device=auto`,
    { tokens: [{ type: "systemd-tpm2", needsPin: true }] },
    "attended",
  ],
  ["a TPM that is not enrolled", `root ${UUID} - tpm2-device=auto`, { tokens: [] }, "attended"],
  [
    "a TPM and a header that cannot be read",
    `root ${UUID} - tpm2-device=auto`,
    { tokens: undefined },
    "unknown",
  ],
  ["a FIDO2 key", `root ${UUID} - fido2-device=auto`, {}, "attended"],
  ["a smart card", `root ${UUID} - pkcs11-uri=auto`, {}, "attended"],
  [
    "a FIDO2 key beside the TPM",
    `root ${UUID} - tpm2-device=auto,fido2-device=auto`,
    { tokens: TPM },
    "attended",
  ],
  ["a script that asks", `root ${UUID} main luks,initramfs,keyscript=decrypt_keyctl`, {}, "attended"],
  [
    "a script that derives the key",
    `swap ${UUID} root_crypt luks,keyscript=decrypt_derived`,
    {},
    "unattended",
  ],
  ["a script of the owner's", `root ${UUID} none luks,keyscript=/usr/local/bin/key`, {}, "unknown"],
  [
    "swap with a new key each time",
    "swap /dev/sda2 /dev/urandom swap,cipher=aes-xts-plain64",
    {},
    "unattended",
  ],
  ["plain dm-crypt", "data /dev/sda5 none plain,cipher=aes-xts-plain64", {}, "attended"],
  [
    "a volume that is opened later, by hand",
    `backup ${UUID} none luks,noauto`,
    { isNeeded: false },
    "unattended",
  ],
  ["noauto on the root", `root ${UUID} none luks,noauto`, {}, "attended"],
  [
    "a volume that a start does not need",
    `backup ${UUID} none luks,nofail`,
    { isNeeded: false },
    "unattended",
  ],
  ["a key file", `data ${UUID} /etc/keys/data.key luks`, { isNeeded: false, keyFile: "file" }, "unattended"],
  ["a key file that is missing", `data ${UUID} /etc/keys/data.key luks`, { isNeeded: false }, "attended"],
  [
    "a key that is not a file",
    `data ${UUID} /run/key.sock luks`,
    { isNeeded: false, keyFile: "other" },
    "unknown",
  ],
  ["a key on a stick", `data ${UUID} /key:UUID=1 luks`, { isNeeded: false, keyFile: "other" }, "unknown"],
  [
    "a key file of the root that may not be in the RAM disk",
    `root ${UUID} /etc/keys/root.key luks`,
    { keyFile: "file" },
    "unknown",
  ],
  [
    "a key file of the root in the RAM disk",
    `root ${UUID} /etc/keys/root.key luks`,
    { keyFile: "file", initrd: "etc/fstab\netc/keys/root.key\n" },
    "unattended",
  ],
  [
    "a key file by systemd's own name",
    `data ${UUID} none luks`,
    { isNeeded: false, keyFile: "file" },
    "unattended",
  ],
  [
    "Clevis in the RAM disk",
    `root ${UUID} none luks`,
    { tokens: CLEVIS, initrd: "usr/bin/clevis-decrypt\n" },
    "unattended",
  ],
  [
    "Clevis, but not in the RAM disk",
    `root ${UUID} none luks`,
    { tokens: CLEVIS, initrd: "usr/bin/sh\n" },
    "attended",
  ],
  ["Clevis, and a RAM disk that cannot be listed", `root ${UUID} none luks`, { tokens: CLEVIS }, "unknown"],
  [
    "Clevis for a volume that is opened later",
    `data ${UUID} none luks,_netdev`,
    { tokens: CLEVIS, isNeeded: false, isClevisAsked: true },
    "unattended",
  ],
])("a start with %s", (_, line, facts, expected) => {
  expect(verdictOf(line, facts)).toBe(expected);
});

const ID = "0d6d4c5e-2b1a-4e57-9f3c-6d2b7f0a1c11";

test.each<[string, number, boolean]>([
  ["root=UUID=1 quiet", 0, false],
  [`rd.luks.uuid=luks-${ID} root=/dev/mapper/root`, 1, false],
  [`rd.luks.name=${ID}=root rd.luks.options=discard`, 1, false],
  [`luks.uuid=${ID}`, 1, false],
  ["cryptdevice=/dev/sda3:root root=/dev/mapper/root", 1, false],
  [`rd.luks=0 rd.luks.uuid=${ID}`, 0, false],
  ["cryptopts=target=root,source=/dev/sda3", 0, true],
  [`rd.luks.data=${ID}=/dev/sdb`, 0, true],
])("the kernel's command line %s", (commandLine, count, isOdd) => {
  const found = volumesOnCommandLine(commandLine);
  expect([found.volumes.length, found.isOdd]).toEqual([count, isOdd]);
});

test("options on the command line alone describe no volume", () => {
  const { volumes } = volumesOnCommandLine(`rd.luks.name=${ID}=root rd.luks.options=discard`);
  expect(volumes).toMatchObject([{ name: "root", options: ["discard"], key: undefined, early: true }]);
});

test("the table and the command line describe one volume together", () => {
  const early = volumesOnCommandLine(`rd.luks.uuid=${ID}`).volumes;
  const table = volumesInTable(`root UUID=${ID} none tpm2-device=auto\n# root UUID=${ID} none\n`);
  expect(together(table, early)).toMatchObject([
    { name: "root", options: ["tpm2-device=auto"], early: true },
  ]);
});
