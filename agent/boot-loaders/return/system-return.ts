/**
 * Whether this machine, once restarted from elsewhere, comes back to the running system without a person.
 * Changes nothing.
 */
import type { ReturnPart, SystemReturn } from "#shared/protocol/inventory.ts";
import type { BootMachine } from "../../machine/boot-machine.ts";
import { clip, readText } from "../../machine/machine.ts";
import { collectFirmware } from "../../machine/system.ts";
import { findEsp, readPartition } from "../firmware.ts";
import { readVolumes, type VolumeMap } from "../volumes.ts";
import { type BootOrder, judgeBootOrder, partitionOf, readBootOrder } from "./boot-order.ts";
import { isOnEncryption } from "./encryption.ts";
import { readGrub } from "./grub-return.ts";
import { attended, type Judgement, UNATTENDED, unknown, worstOf } from "./judgement.ts";
import { findLoader, ownFileOf } from "./loader.ts";
import { judgeStarts } from "./next-start.ts";
import { judgeSystemdBoot } from "./systemd-boot-return.ts";
import { judgeUnlocking } from "./unlocking.ts";

export async function judgeReturn(machine: BootMachine): Promise<SystemReturn> {
  const volumes = await readVolumes(machine);
  const boot = await readFirmwareOrder(machine, volumes);
  const order = boot ? judgeBootOrder(boot) : { nextStart: UNATTENDED, triedBefore: [] };
  const loader = await judgeLoader(machine, volumes, boot);
  return {
    bootLoader: partOf(loader.bootLoader),
    nextStart: partOf(worstOf([order.nextStart, loader.nextStart])),
    volumes: partOf(await judgeUnlocking(machine, volumes)),
    triedBefore: order.triedBefore.map((label) => clip(label)),
  };
}

/** `undefined` on BIOS, which starts the first thing on the disk that its setup names. */
export async function readFirmwareOrder(
  machine: BootMachine,
  volumes: VolumeMap,
): Promise<BootOrder | undefined> {
  if ((await collectFirmware(machine)).kind !== "uefi") return undefined;
  const esp = findEsp(volumes.volumes);
  const own = esp && (await readPartition(machine, esp.device))?.partition.uuid?.toLowerCase();
  return readBootOrder(machine, async (option) => {
    const isOnEsp = own !== undefined && partitionOf(option) === own;
    return esp !== undefined && isOnEsp && (await ownFileOf(machine, esp, option)) === undefined;
  });
}

interface LoaderJudgement {
  bootLoader: Judgement;
  nextStart: Judgement;
}

async function judgeLoader(
  machine: BootMachine,
  volumes: VolumeMap,
  boot: BootOrder | undefined,
): Promise<LoaderJudgement> {
  const loader = await findLoader(machine, volumes, boot);
  if (loader.kind === "none") return { bootLoader: UNATTENDED, nextStart: UNATTENDED };
  if (loader.kind === "other" || loader.kind === "unknown") {
    const name = loader.kind === "other" ? loader.name : "an unknown boot loader";
    const reason = `this system was started by ${name}, and it is not known whether that waits for a person`;
    const remedy = "Look at its configuration: it must start this system by itself after some seconds.";
    return { bootLoader: unknown(reason, remedy), nextStart: UNATTENDED };
  }
  if (loader.kind === "systemd-boot") {
    const { bootLoader, nextStart } = await judgeSystemdBoot(machine, volumes);
    return { bootLoader: worstOf(bootLoader), nextStart: worstOf(nextStart) };
  }
  const { outcome } = await readGrub(machine, volumes, loader.starts);
  const commandLine = (await readText(machine, "/proc/cmdline")) ?? "";
  return {
    bootLoader: worstOf([...outcome.against, await judgeEncryptedBoot(machine, volumes)]),
    nextStart: worstOf(judgeStarts(outcome.starts, commandLine)),
  };
}

/**
 * What GRUB reads must not be encrypted: it would ask for the passphrase, whatever the initial RAM disk
 * knows.
 */
async function judgeEncryptedBoot(machine: BootMachine, volumes: VolumeMap): Promise<Judgement> {
  const volume = volumes.holding("/boot");
  const remedy = "Keep /boot on a partition that is not encrypted.";
  const found = volume && (await isOnEncryption(machine, volume));
  if (found === undefined) return unknown("it is not known whether /boot is encrypted", remedy);
  return found
    ? attended("/boot is encrypted, and GRUB itself asks for its passphrase before anything else", remedy)
    : UNATTENDED;
}

const MOST_CHARACTERS = 1000;

function partOf({ verdict, reason, remedy }: Judgement): ReturnPart {
  return {
    verdict,
    ...(reason === undefined ? {} : { reason: clip(reason, MOST_CHARACTERS) }),
    ...(remedy === undefined ? {} : { remedy: clip(remedy, MOST_CHARACTERS) }),
  };
}
