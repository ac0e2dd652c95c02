/** A bound machine on the hardware that it moves to. */
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AdaptedClone } from "#agent/adapt/adapt-clone.ts";
import { findUefiFirmware } from "#agent/hypervisor/qemu/uefi-firmware.ts";
import type { WantedMachine } from "#shared/protocol/wanted-machine.ts";
import type { BoundMachine } from "./bound-machines.ts";
import { BOUND_PORT } from "./bound-system.ts";
import { LUKS_PASSPHRASE, LUKS_UUID } from "./disk/layered-disks.ts";
import { startOnHardware } from "./start-on-hardware.ts";

const NEW_ADDRESS = "52:54:00:12:34:56";
const ENTER_PASSPHRASE = { at: /Please unlock disk/, line: LUKS_PASSPHRASE };

export function wantedOf({ diskBus, layout: { firmware } }: BoundMachine): WantedMachine {
  return {
    ...{ diskBus, firmware, cardModel: "virtio", machineId: "kept", hostKeys: "kept", purpose: "production" },
    cards: [{ address: NEW_ADDRESS, replaces: { name: BOUND_PORT.name, address: BOUND_PORT.address } }],
  };
}

export function cloneDisksOf(paths: readonly string[]): AdaptedClone["disks"] {
  return paths.map((path, at) => ({ name: at === 0 ? "sda" : "sdb", path, format: "raw" }));
}

export function cloneKeysOf({ layout: { layers } }: BoundMachine): AdaptedClone["keys"] {
  return layers.includes("luks") ? [{ uuid: LUKS_UUID, key: Buffer.from(LUKS_PASSPHRASE) }] : undefined;
}

/** What it shows on the serial port with this number. The disks stay as they are. */
export async function startMoved(
  { diskBus, layout: { firmware } }: Pick<BoundMachine, "layout"> & { diskBus: BoundMachine["diskBus"] },
  paths: readonly string[],
  patterns: readonly RegExp[],
  serialPort = 0,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "causeway-moved-"));
  try {
    return await startOnHardware(
      [
        ...Array.from({ length: serialPort }, () => ["-serial", "null"]).flat(),
        ...["-serial", "stdio"],
        ...(firmware === "uefi" ? await firmwareDrives(join(folder, "variables.fd")) : []),
        ...(diskBus === "scsi" ? ["-device", "virtio-scsi-pci,id=scsi"] : []),
        ...paths.flatMap((path, at) => [
          ...["-drive", `if=none,id=disk${at},format=raw,snapshot=on,file=${path}`, "-device"],
          diskBus === "virtio" ? `virtio-blk-pci,drive=disk${at}` : `scsi-hd,bus=scsi.0,drive=disk${at}`,
        ]),
        ...["-netdev", "user,id=lan,restrict=on", "-device", `virtio-net-pci,netdev=lan,mac=${NEW_ADDRESS}`],
      ],
      patterns,
      [ENTER_PASSPHRASE],
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** With variables that were never written: it has no boot entry. */
async function firmwareDrives(own: string): Promise<string[]> {
  const { code, variables } = await findUefiFirmware();
  await copyFile(variables, own);
  const drives = [`if=pflash,format=raw,readonly=on,file=${code}`, `if=pflash,format=raw,file=${own}`];
  return drives.flatMap((drive) => ["-drive", drive]);
}
