import { posix } from "node:path";
import type { BootMachine } from "../../machine/boot-machine.ts";
import { readText } from "../../machine/machine.ts";
import { findEsp, globalVariable, loaderVariable, readVariable } from "../firmware.ts";
import type { VolumeMap } from "../volumes.ts";
import { type Judgement, unknown } from "./judgement.ts";
import {
  judgeSystemdBootMenu,
  type SystemdBootFacts,
  type SystemdBootVariable,
} from "./systemd-boot-menu.ts";

const NAMES: readonly SystemdBootVariable[] = [
  "LoaderConfigTimeout",
  "LoaderConfigTimeoutOneShot",
  "LoaderEntryDefault",
  "LoaderEntryLastBooted",
  "LoaderEntrySelected",
  "LoaderEntries",
];

export async function judgeSystemdBoot(machine: BootMachine, volumes: VolumeMap): Promise<Judgement[]> {
  const esp = findEsp(volumes)?.mountPoint;
  if (esp === undefined) {
    return [
      unknown(
        "the EFI system partition with systemd-boot's configuration is not mounted",
        "Mount it at /efi, /boot or /boot/efi.",
      ),
    ];
  }
  const variables: SystemdBootFacts["variables"] = Object.fromEntries(
    await Promise.all(
      NAMES.map(async (name) => {
        const bytes = await readVariable(machine, loaderVariable(name));
        return [name, bytes?.toString("utf16le").replace(/\0+$/, "")] as const;
      }),
    ).then((pairs) => pairs.filter(([, value]) => value !== undefined)),
  );
  const setupMode = (await readVariable(machine, globalVariable("SetupMode")))?.[0] === 1;
  return judgeSystemdBootMenu({
    configuration: (await readText(machine, posix.join(esp, "loader/loader.conf"))) ?? "",
    variables,
    keys: await machine.list(posix.join(esp, "loader/keys")),
    setupMode,
  });
}
