import type { BootMachine } from "../../machine/boot-machine.ts";
import { readText } from "../../machine/machine.ts";
import { findPath } from "../fat-names.ts";
import { findEsp, globalVariable, readVariable } from "../firmware.ts";
import {
  FEATURES,
  readFeatures,
  readLoaderText,
  readMenu,
  readWishes,
} from "../systemd-boot-menu/read-menu.ts";
import type { MountedVolume, VolumeMap } from "../volumes.ts";
import { type Judgement, unknown } from "./judgement.ts";
import { judgeSystemdBootDefault } from "./systemd-boot-default.ts";
import { judgeSystemdBootMenu } from "./systemd-boot-menu.ts";

const LOOK =
  "Mount what systemd-boot reads, and see with `bootctl list` that the default of its menu is this system.";

export interface SystemdBootJudgement {
  bootLoader: Judgement[];
  nextStart: Judgement[];
}

export async function judgeSystemdBoot(
  machine: BootMachine,
  volumes: VolumeMap,
): Promise<SystemdBootJudgement> {
  const esp = findEsp(volumes.volumes);
  if (!esp) {
    const reason = "the EFI system partition with systemd-boot's configuration is not mounted";
    const judgement = unknown(reason, "Mount it at /efi, /boot or /boot/efi.");
    return { bootLoader: [judgement], nextStart: [judgement] };
  }
  const wishes = await readWishes(machine, esp);
  const { unread, ...menu } = await readMenu(machine, volumes, esp);
  const nextStart = judgeSystemdBootDefault({
    ...wishes,
    menu,
    selected: await readLoaderText(machine, "LoaderEntrySelected"),
    commandLine: (await readText(machine, "/proc/cmdline")) ?? "",
  });
  if (unread !== undefined) nextStart.push(unknown(`systemd-boot also reads ${unread}`, LOOK));
  const isOrderKnown = ((await readFeatures(machine)) & FEATURES.sortKey) !== 0n;
  if (!isOrderKnown && menu.entries.length > 1) {
    const reason =
      "this version of systemd-boot orders its menu as older ones do, and it has more than one entry";
    nextStart.push(unknown(reason, "Update it with `bootctl update` to 251 or newer."));
  }
  return { bootLoader: await judgeMenu(machine, esp, wishes.configuration), nextStart };
}

async function judgeMenu(
  machine: BootMachine,
  esp: MountedVolume,
  configuration: string,
): Promise<Judgement[]> {
  const once = await readLoaderText(machine, "LoaderConfigTimeoutOneShot");
  const timeout = await readLoaderText(machine, "LoaderConfigTimeout");
  const keys = await findPath(machine, esp.mountPoint, "loader/keys");
  return judgeSystemdBootMenu({
    configuration,
    variables: {
      ...(timeout === undefined ? {} : { LoaderConfigTimeout: timeout }),
      ...(once === undefined ? {} : { LoaderConfigTimeoutOneShot: once }),
    },
    keys: keys ? await machine.list(keys) : [],
    setupMode: (await readVariable(machine, globalVariable("SetupMode")))?.[0] === 1,
  });
}
