/**
 * For tests: a machine whose root is a folder and whose disks are image files, with real files, real
 * attributes and real file systems in the images.
 */
import { existsSync, rmSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { CloseableDiskReader } from "../../disk/reader.ts";
import { MIB, tool } from "../../filesystems/testing/test-image.ts";
import { type BootMachine, type FileAttributes, LocalBootMachine } from "../../machine/boot-machine.ts";
import type { ProgramOutput } from "../../machine/machine.ts";
import { EFI_VARIABLES } from "../../machine/system.ts";

export const ROOT_UUID = "0d6d4c5e-2b1a-4e57-9f3c-6d2b7f0a1c11";
export const BOOT_UUID = "7c1f0a52-93f4-4c0e-8a77-2f5b1d9e0b22";
export const ESP_UUID = "1A2B-3C4D";
export const ESP_PARTITION_UUID = "3f1c2d4e-5a6b-4c7d-8e9f-0a1b2c3d4e5f";

/** Every step is made durable, which is slow on a disk; a file in memory is just as real. */
const SCRATCH = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** All paths are below `root`, as in a container of its own. */
export class RootedMachine implements BootMachine {
  readonly root: string;
  readonly #local = new LocalBootMachine();
  isRootUser = true;
  freeSpaceBytes = 512 * MIB;
  /** The commands that were run, and the answers to give. */
  readonly commands: string[] = [];

  constructor(root: string) {
    this.root = root;
  }

  at(path: string): string {
    return path.startsWith(this.root) ? path : join(this.root, path);
  }

  isRoot = () => this.isRootUser;
  read = (path: string) => this.#local.read(this.at(path));
  list = (path: string) => this.#local.list(this.at(path));
  openDisk = (path: string): Promise<CloseableDiskReader> => this.#local.openDisk(this.at(path));
  freeBytes = async (_path: string) => this.freeSpaceBytes;
  status = (path: string) => this.#local.status(this.at(path));
  contents = (path: string) => this.#local.contents(this.at(path));
  hash = (path: string) => this.#local.hash(this.at(path));
  create = (path: string, bytes: Uint8Array, mode: number) => this.#local.create(this.at(path), bytes, mode);
  copy = (from: string, to: string, mode: number) => this.#local.copy(this.at(from), this.at(to), mode);
  overwrite = (path: string, bytes: Uint8Array, offset?: number) =>
    this.#local.overwrite(this.at(path), bytes, offset);
  rename = (from: string, to: string) => this.#local.rename(this.at(from), this.at(to));
  unlink = (path: string) => this.#local.unlink(this.at(path));
  makeFolder = (path: string, mode: number) => this.#local.makeFolder(this.at(path), mode);
  removeFolder = (path: string) => this.#local.removeFolder(this.at(path));
  setAttributes = (path: string, attributes: FileAttributes) =>
    this.#local.setAttributes(this.at(path), attributes);
  deleteVariable = (path: string) => this.#local.deleteVariable(this.at(path));

  async flush(paths: readonly string[]): Promise<void> {
    this.commands.push(`flush ${paths.join(" ")}`);
  }

  async resolve(path: string): Promise<string | undefined> {
    const real = await this.#local.resolve(this.at(path));
    return real?.startsWith(this.root) ? real.slice(this.root.length) : real;
  }

  async run(command: string, ...args: string[]): Promise<ProgramOutput | undefined> {
    this.commands.push([command, ...args].join(" "));
    return undefined;
  }

  /** In efivarfs a write replaces the whole variable; in a file the rest of a longer one would remain. */
  async writeVariable(path: string, bytes: Uint8Array): Promise<void> {
    if (await this.status(path)) await truncate(this.at(path));
    await this.#local.writeVariable(this.at(path), bytes);
  }

  async put(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
    await mkdir(dirname(this.at(path)), { recursive: true });
    await writeFile(this.at(path), content);
    await chmod(this.at(path), mode);
  }

  async linkTo(path: string, target: string): Promise<void> {
    await mkdir(dirname(this.at(path)), { recursive: true });
    tool("ln", "-s", this.at(target), this.at(path));
  }

  async putVariable(name: string, value: Uint8Array, attributes = 7): Promise<void> {
    await this.put(`${EFI_VARIABLES}/${name}`, Buffer.concat([Buffer.from([attributes, 0, 0, 0]), value]));
  }
}

export interface FakeMachineOptions {
  firmware: "bios" | "uefi";
  /** `/boot` on a partition of its own. */
  separateBoot?: boolean;
  /** The type of the file system with /boot, as the kernel names it. */
  bootType?: string;
  /** Of the device under it. */
  bootLayer?: "lvm" | "md" | "crypt";
  /** Of the device under the EFI system partition's file system. */
  espLayer?: "md";
}

/**
 * A Debian-like machine: a disk with a GPT, an EFI system partition, a root, perhaps a `/boot`. It has no
 * boot loader yet.
 */
export async function createFakeMachine(options: FakeMachineOptions): Promise<RootedMachine> {
  const machine = new RootedMachine(await mkdtemp(join(SCRATCH, "boot-state-")));
  await createDisk(machine);
  const { separateBoot = false, bootType = "ext4", bootLayer, espLayer } = options;
  const bootDevice = separateBoot ? "8:3" : "8:2";
  const mounts = [
    `27 1 8:2 / / rw - ${separateBoot ? "ext4" : bootType} /dev/sda2 rw`,
    ...(separateBoot ? [`40 27 8:3 / /boot rw - ${bootType} /dev/sda3 rw`] : []),
  ];
  await mkdir(machine.at("/boot"), { recursive: true });
  if (options.firmware === "uefi") {
    mounts.push("94 27 8:1 / /boot/efi rw - vfat /dev/sda1 rw,fmask=0077,dmask=0077");
    mounts.push(`95 27 0:30 / ${EFI_VARIABLES} rw - efivarfs efivarfs rw`);
    await mkdir(machine.at("/boot/efi/EFI"), { recursive: true });
    await chmod(machine.at("/boot/efi"), 0o700);
    await chmod(machine.at("/boot/efi/EFI"), 0o700);
    await putFirmware(machine);
  }
  await machine.put("/proc/self/mountinfo", `${mounts.join("\n")}\n`);
  await machine.put("/proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz-6.1.0-18-amd64 root=/dev/sda2 ro quiet\n");
  if (bootLayer) await putLayer(machine, bootDevice, bootLayer);
  if (espLayer) await putLayer(machine, "8:1", espLayer);
  return machine;
}

async function putFirmware(machine: RootedMachine): Promise<void> {
  const global = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
  await machine.putVariable(`BootOrder-${global}`, Buffer.from([2, 0, 0, 0]));
  await machine.putVariable(`BootCurrent-${global}`, Buffer.from([2, 0]), 6);
  await machine.putVariable(`SecureBoot-${global}`, Buffer.from([0]), 6);
  for (const number of ["0000", "0002"]) {
    await machine.putVariable(`Boot${number}-${global}`, Buffer.from(`entry ${number}`));
  }
}

const LAYERS = {
  lvm: { folder: "/sys/devices/virtual/block/dm-0", uuid: "LVM-kXq1" },
  crypt: { folder: "/sys/devices/virtual/block/dm-0", uuid: "CRYPT-LUKS2-1" },
  md: { folder: "/sys/devices/virtual/block/md0", uuid: undefined },
};

async function putLayer(machine: RootedMachine, device: string, layer: keyof typeof LAYERS): Promise<void> {
  const { folder, uuid } = LAYERS[layer];
  await mkdir(machine.at(folder), { recursive: true });
  if (uuid) await machine.put(`${folder}/dm/uuid`, `${uuid}\n`);
  await rm(machine.at(`/sys/dev/block/${device}`), { force: true });
  await machine.linkTo(`/sys/dev/block/${device}`, folder);
}

/** The tools that make file systems are slow: their results are made once, and copied. */
let template: Promise<string> | undefined;

async function createDisk(machine: RootedMachine): Promise<void> {
  template ??= createTemplate();
  tool("cp", "-R", "--sparse=always", await template, machine.at("/dev"));
  const sysfs = "/sys/devices/pci0000:00/block/sda";
  await machine.put(`${sysfs}/queue/logical_block_size`, "512\n");
  for (const number of [1, 2, 3]) {
    await machine.put(`${sysfs}/sda${number}/partition`, `${number}\n`);
    await machine.put(`${sysfs}/sda${number}/uevent`, `DEVNAME=sda${number}\nDEVTYPE=partition\n`);
    await machine.linkTo(`/sys/dev/block/8:${number}`, `${sysfs}/sda${number}`);
  }
}

async function createTemplate(): Promise<string> {
  const folder = await mkdtemp(join(SCRATCH, "boot-state-disk-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const disk = join(folder, "sda");
  await createImage(disk, 64 * MIB);
  const script = `${folder}.sfdisk`;
  const esp = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
  await writeFile(
    script,
    `label: gpt\nsize=8MiB, type=${esp}, uuid=${ESP_PARTITION_UUID.toUpperCase()}\nsize=16MiB\nsize=16MiB\n`,
  );
  tool("sh", "-c", `sfdisk -q ${disk} < ${script}`);
  await rm(script);
  // What the firmware of a BIOS machine starts.
  tool("sh", "-c", `printf 'GRUB ' | dd of=${disk} bs=1 seek=384 conv=notrunc status=none`);
  await createImage(join(folder, "sda1"), 2 * MIB);
  tool("mkfs.vfat", "-i", ESP_UUID.replace("-", ""), join(folder, "sda1"));
  for (const [name, uuid] of [
    ["sda2", ROOT_UUID],
    ["sda3", BOOT_UUID],
  ] as const) {
    await createImage(join(folder, name), 2 * MIB);
    tool("mkfs.ext4", "-q", "-U", uuid, join(folder, name));
  }
  return folder;
}

async function createImage(path: string, sizeBytes: number): Promise<void> {
  await writeFile(path, Buffer.alloc(0));
  await truncate(path, sizeBytes);
}
