/** A real systemd-boot on real firmware in QEMU. It can start only programs that print their names. */
import { mkdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { findUefiFirmware } from "#agent/hypervisor/qemu/uefi-firmware.ts";
import { run } from "../machines/disk/command.ts";
import { type UefiVariable, variablesIn, withVariables } from "../machines/disk/uefi-variables.ts";
import { watchSerial } from "./watch-serial.ts";

const MIB = 2 ** 20;
/** One EFI system partition, with room for a second table at the end. */
const PARTITION = { offsetBytes: MIB, sizeBytes: 8 * MIB };
const DISK_BYTES = 10 * MIB;
const EFI_SYSTEM = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";

const LOADER_INTERFACE = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

const SCREEN = {
  asks: /No loader found/,
  menu: /Entry \w|Reboot Into Firmware/,
  counts: /Boot in \d+ s/,
  restarts: "setup",
};

export interface SystemdBootRig {
  /** `systemd-bootx64.efi`. */
  loader: string;
  partitionUuid: string;
}

export interface RigMachine extends AsyncDisposable {
  /**
   * The word of the program that it starts, or `setup` if it restarts into the firmware's setup. `undefined`
   * if it waits.
   */
  start(waitSeconds: number): Promise<string | undefined>;
  variables(): Promise<UefiVariable[]>;
}

/** Variables of the boot loader interface, as texts. */
export function loaderVariables(values: Readonly<Record<string, string>>): UefiVariable[] {
  return Object.entries(values).map(([name, value]) => ({
    ...{ name, vendor: LOADER_INTERFACE, value: Buffer.from(`${value}\0`, "utf16le") },
  }));
}

/** `files`: from the root of the EFI system partition, besides the loader itself. */
export async function rigMachine(
  { loader, partitionUuid }: SystemdBootRig,
  dir: string,
  {
    files,
    variables,
  }: { files: Readonly<Record<string, string | Uint8Array>>; variables: readonly UefiVariable[] },
): Promise<RigMachine> {
  await mkdir(dir, { recursive: true });
  const [disk, flash] = [join(dir, "disk.raw"), join(dir, "flash.fd")];
  await writeFile(disk, "");
  await truncate(disk, DISK_BYTES);
  const table = `label: gpt\nsize=${PARTITION.sizeBytes / MIB}MiB, type=${EFI_SYSTEM}, uuid=${partitionUuid}\n`;
  await run("sfdisk", ["-q", disk], { input: table });
  const partition = `${disk}@@${PARTITION.offsetBytes}`;
  await run("mformat", ["-i", partition, "-T", String(PARTITION.sizeBytes / 512), "-N", "1a2b3c4d", "::"]);
  const image = join(dir, "files");
  for (const [name, content] of Object.entries({
    ...files,
    "EFI/BOOT/BOOTX64.EFI": await readFile(loader),
  })) {
    await mkdir(dirname(join(image, name)), { recursive: true });
    await writeFile(join(image, name), content);
  }
  await run("sh", ["-c", 'exec mcopy -s -i "$1" "$2"/* ::', "sh", partition, image]);
  const firmware = await findUefiFirmware();
  await writeFile(flash, withVariables(await readFile(firmware.variables), variables));
  return {
    start: (waitSeconds) =>
      watchSerial(
        [
          ...["-m", "256", "-drive", `if=pflash,format=raw,readonly=on,file=${firmware.code}`],
          ...["-drive", `if=pflash,format=raw,file=${flash}`],
          ...["-drive", `file=${disk},format=raw,cache=unsafe`],
        ],
        SCREEN,
        waitSeconds,
      ),
    variables: async () => variablesIn(await readFile(flash)),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}
