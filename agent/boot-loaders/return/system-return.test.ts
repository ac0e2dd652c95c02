import { rm } from "node:fs/promises";
import { afterEach, describe, expect, test } from "vitest";
import { EFI_VARIABLES } from "../../machine/system.ts";
import { BootNext } from "../boot-next.ts";
import { Grub } from "../grub.ts";
import { encodeLoadOption } from "../load-option.ts";
import { NEED } from "../testing/cold-clone.ts";
import {
  createFakeMachine,
  ESP_PARTITION_UUID,
  ESP_UUID,
  type FakeMachineOptions,
  ROOT_UUID,
  type RootedMachine,
} from "../testing/fake-machine.ts";
import { GRUB_CONFIGURATION, grubEnvironmentBlock, installGrub } from "../testing/grub-installation.ts";
import { installSystemdBoot } from "../testing/systemd-boot-installation.ts";
import { withoutWriting } from "../testing/untouched.ts";
import { judgeReturn } from "./system-return.ts";

const GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

const machines: RootedMachine[] = [];
afterEach(async () => {
  for (const { root } of machines.splice(0)) await rm(root, { recursive: true, force: true });
});

async function machineWith(options: FakeMachineOptions): Promise<RootedMachine> {
  const machine = await createFakeMachine(options);
  machines.push(machine);
  return machine;
}

async function grubMachine(options: FakeMachineOptions, folder?: string): Promise<RootedMachine> {
  const machine = await machineWith(options);
  await installGrub(machine, folder === undefined ? {} : { folder });
  return machine;
}

async function startedBy(machine: RootedMachine, path: string): Promise<void> {
  const signature = { format: "gpt" as const, guid: ESP_PARTITION_UUID };
  const option = encodeLoadOption({
    ...{ active: true, hidden: false, otherAttributes: 0, label: "own", optionalData: Buffer.alloc(0) },
    path: [
      { kind: "hard-drive", partition: { number: 1, startBlock: 2048n, blocks: 16384n, signature } },
      { kind: "file", path: path.replaceAll("/", "\\") },
    ],
  });
  await machine.putVariable(`Boot0002-${GLOBAL}`, option);
  await machine.put(`/boot/efi${path}`, "MZ");
}

async function judged(machine: RootedMachine) {
  const { bootLoader, nextStart, volumes } = await withoutWriting(machine, () => judgeReturn(machine));
  return [bootLoader.verdict, nextStart.verdict, volumes.verdict].join(" ");
}

const waits = (machine: RootedMachine, folder = "/boot/grub") =>
  machine.put(`${folder}/grub.cfg`, GRUB_CONFIGURATION.replace("set timeout=5", "set timeout=-1"));

describe("a machine with GRUB", () => {
  test("on BIOS comes back unattended", async () => {
    expect(await judged(await grubMachine({ firmware: "bios" }))).toBe("unattended unattended unattended");
  });

  test("whose menu waits does not come back unattended, although the firmware could be armed", async () => {
    const machine = await grubMachine({ firmware: "uefi" });
    expect(await judged(machine)).toBe("unattended unattended unattended");
    await waits(machine);
    expect(await judged(machine)).toBe("attended unattended unattended");
    expect((await new BootNext(machine).probe(NEED)).usable).toBe(true);
  });

  test("whose default is another system does not come back to this one", async () => {
    const machine = await grubMachine({ firmware: "bios" });
    await machine.put("/proc/cmdline", "root=/dev/sda3 ro\n");
    expect(await judged(machine)).toBe("unattended attended unattended");
    await machine.put("/proc/cmdline", "root=UUID=1 ro\n");
    expect(await judged(machine)).toBe("unattended unknown unattended");
  });

  test("with /boot on an encrypted device waits for its passphrase in GRUB, whatever the RAM disk has", async () => {
    const machine = await grubMachine({ firmware: "uefi", separateBoot: true, bootLayer: "crypt" });
    expect((await judged(machine)).split(" ")[0]).toBe("attended");
    expect((await new BootNext(machine).probe(NEED)).usable).toBe(true);
  });

  test("gets advice in the terms of its distribution", async () => {
    const machine = await grubMachine({ firmware: "bios" }, "/boot/grub2");
    await waits(machine, "/boot/grub2");
    expect((await judgeReturn(machine)).bootLoader.remedy).toContain("with grub-mkconfig");
    await machine.put("/etc/os-release", 'ID="rocky"\nID_LIKE="rhel centos fedora"\n');
    expect((await judgeReturn(machine)).bootLoader.remedy).toContain("with grub2-mkconfig");
  });
});

describe("the folder that GRUB uses", () => {
  const folderOf = async (machine: RootedMachine): Promise<string | undefined> => {
    const adapter = new Grub(machine);
    const loader = await adapter.probe(NEED);
    if (!loader.usable) return loader.refusals.map(({ code }) => code).join(" ");
    const saved = await adapter.save(loader, { jobId: "cv-1", savedAt: new Date(0), commandLine: "" });
    const item = saved.items.find(
      (each) => each.kind === "file" && each.location.path.endsWith("/custom.cfg"),
    );
    return item?.kind === "file" ? `${item.location.volume}${item.location.path}` : undefined;
  };

  test("is the loader's own on the ESP, even with a stray one in /boot", async () => {
    const machine = await grubMachine({ firmware: "uefi" }, "/boot/efi/EFI/redhat");
    await machine.put("/boot/grub2/grub.cfg", GRUB_CONFIGURATION);
    await startedBy(machine, "/EFI/redhat/shimx64.efi");
    expect(await folderOf(machine)).toBe(`${ESP_UUID}/EFI/redhat/custom.cfg`);
    await waits(machine, "/boot/grub2");
    expect(await judged(machine)).toBe("unattended unattended unattended");
    await waits(machine, "/boot/efi/EFI/redhat");
    expect(await judged(machine)).toBe("attended unattended unattended");
  });

  test("is the one to which the loader's own leads", async () => {
    const machine = await grubMachine({ firmware: "uefi" }, "/boot/grub2");
    await machine.put(
      "/boot/efi/EFI/rocky/grub.cfg",
      `search --no-floppy --root-dev-only --fs-uuid --set=dev ${ROOT_UUID}\nset prefix=($dev)/boot/grub2\nexport $prefix\nconfigfile $prefix/grub.cfg\n`,
    );
    await startedBy(machine, "/EFI/rocky/shimx64.efi");
    expect(await folderOf(machine)).toBe(`${ROOT_UUID}/boot/grub2/custom.cfg`);
    expect(await judged(machine)).toBe("unattended unattended unattended");
  });

  test("is, of two vendors, the one that was started, and neither if that is unknown", async () => {
    const machine = await grubMachine({ firmware: "uefi" }, "/boot/efi/EFI/redhat");
    await installGrub(machine, { folder: "/boot/efi/EFI/centos" });
    expect(await folderOf(machine)).toContain("grub-folder");
    expect((await judged(machine)).split(" ")[0]).toBe("unknown");
    await startedBy(machine, "/EFI/centos/shimx64.efi");
    expect(await folderOf(machine)).toBe(`${ESP_UUID}/EFI/centos/custom.cfg`);
  });

  test("is not certain with two in /boot, unless one is a link to the other", async () => {
    const machine = await grubMachine({ firmware: "bios" });
    await machine.put("/boot/grub2/grub.cfg", GRUB_CONFIGURATION);
    expect(await folderOf(machine)).toContain("grub-folder");
    expect((await judged(machine)).split(" ")[0]).toBe("unknown");
  });
});

test("entries of the Boot Loader Specification ask for a password only if their users are set", async () => {
  const machine = await machineWith({ firmware: "bios" });
  const configuration = `${GRUB_CONFIGURATION.replace(/menuentry[\s\S]*?\n\}\n/, "insmod blscfg\nblscfg\n")}
if [ -f $prefix/user.cfg ]; then
  source $prefix/user.cfg
  if [ -n "$GRUB2_PASSWORD" ]; then
    set superusers="root"
    export superusers
  fi
fi
`;
  await machine.put(
    "/boot/grub2/grub.cfg",
    configuration.replace('set default="0"', 'set default="$saved_entry"'),
  );
  await machine.put("/boot/grub2/user.cfg", "GRUB2_PASSWORD=grub.pbkdf2.sha512.10000.1\n");
  await machine.put(
    "/boot/loader/entries/6f0c-5.14.0-427.el9.x86_64.conf",
    "title Rocky Linux\nlinux /vmlinuz-5.14.0\ninitrd /initramfs-5.14.0.img $tuned_initrd\noptions root=/dev/sda2 ro $tuned_params\ngrub_users $grub_users\ngrub_arg --unrestricted\ngrub_class rocky\n",
  );
  const environment = { saved_entry: "6f0c-5.14.0-427.el9.x86_64" };
  await machine.put("/boot/grub2/grubenv", grubEnvironmentBlock(environment));
  expect(await judged(machine)).toBe("unattended unattended unattended");
  await machine.put("/boot/grub2/grubenv", grubEnvironmentBlock({ ...environment, grub_users: "root" }));
  expect(await judged(machine)).toBe("attended unattended unattended");
});

test("a loader that reports GRUB as its name is GRUB", async () => {
  const machine = await grubMachine({ firmware: "uefi" });
  await machine.putVariable(`LoaderInfo-${LOADER}`, Buffer.from("GRUB 2.12\0", "utf16le"), 6);
  expect(await judged(machine)).toBe("unattended unattended unattended");
  expect((await new Grub(machine).probe(NEED)).usable).toBe(true);
});

test("an unknown boot loader is not judged", async () => {
  const machine = await grubMachine({ firmware: "uefi" });
  await machine.putVariable(`LoaderInfo-${LOADER}`, Buffer.from("Limine 8\0", "utf16le"), 6);
  expect((await judgeReturn(machine)).bootLoader).toMatchObject({
    verdict: "unknown",
    reason: expect.stringContaining("Limine 8"),
  });
});

test("systemd-boot is judged by its configuration and variables, and not by a leftover GRUB", async () => {
  const machine = await grubMachine({ firmware: "uefi" });
  await waits(machine);
  await installSystemdBoot(machine);
  expect(await judged(machine)).toBe("unattended unattended unattended");
  await machine.put("/boot/efi/loader/loader.conf", "timeout menu-force\n", 0o700);
  expect(await judged(machine)).toBe("attended unattended unattended");
  await machine.putVariable(`LoaderConfigTimeout-${LOADER}`, Buffer.from("5\0", "utf16le"));
  expect(await judged(machine)).toBe("unattended unattended unattended");
});

test("a firmware whose boot order leaves this system out starts another", async () => {
  const machine = await grubMachine({ firmware: "uefi" });
  await machine.putVariable(`BootOrder-${GLOBAL}`, Buffer.from([0, 0]));
  expect(await judged(machine)).toBe("unattended attended unattended");
  await machine.deleteVariable(`${EFI_VARIABLES}/BootCurrent-${GLOBAL}`);
  expect(await judged(machine)).toBe("unattended unknown unattended");
});

test("a volume that a person opens waits for that person at the return", async () => {
  const machine = await grubMachine({ firmware: "bios" });
  await machine.put("/etc/crypttab", "root UUID=1 none luks,discard\n");
  expect(await judged(machine)).toBe("unattended unattended attended");
});

test("a root on an encrypted device that no table names counts as opened by no known means", async () => {
  const machine = await grubMachine({ firmware: "bios", bootLayer: "crypt" });
  await machine.put("/etc/crypttab", "swap /dev/sda4 /dev/urandom swap\n");
  expect((await judgeReturn(machine)).volumes).toMatchObject({
    verdict: "unknown",
    reason: expect.stringContaining("/ is encrypted"),
  });
});

test("an unknown program that the firmware starts is not taken for GRUB", async () => {
  const machine = await grubMachine({ firmware: "uefi" });
  await startedBy(machine, "/EFI/refind/refind_x64.efi");
  expect((await judgeReturn(machine)).bootLoader.verdict).toBe("unknown");
  expect((await new Grub(machine).probe(NEED)).usable).toBe(false);
});

test("an EFI system partition behind an automount is read, which mounts it", async () => {
  const machine = await grubMachine({ firmware: "uefi" });
  const mounts = (await machine.contents("/proc/self/mountinfo"))?.toString() ?? "";
  const waiting = mounts.replace(/^94 .*$/m, "94 27 0:44 / /boot/efi rw - autofs systemd-1 rw,fd=1,direct");
  expect(waiting).not.toBe(mounts);
  await machine.put("/proc/self/mountinfo", waiting);
  const list = machine.list;
  machine.list = async (path) => {
    const mounted = mounts.replace(/^94/m, "94 27 0:44 / /boot/efi rw - autofs systemd-1 rw\n96");
    if (path === "/boot/efi") await machine.put("/proc/self/mountinfo", mounted);
    return list(path);
  };
  expect((await new BootNext(machine).probe(NEED)).usable).toBe(true);
});

test("an array with a name of its own is not a plain partition", async () => {
  const machine = await grubMachine({ firmware: "bios", separateBoot: true, bootLayer: "md" });
  const folder = "/sys/devices/virtual/block/md_boot";
  await machine.put(`${folder}/md/array_state`, "clean\n");
  await rm(machine.at("/sys/dev/block/8:3"));
  await machine.linkTo("/sys/dev/block/8:3", folder);
  const found = await new Grub(machine).probe(NEED);
  expect(found.usable ? [] : found.refusals.map(({ code }) => code)).toContain("grubenv-device");
});
