import { type BootLoader, UNKNOWN } from "#shared/protocol/inventory.ts";
import { type Machine, readText } from "../machine/machine.ts";
import { collectBootEntries, EFI_ATTRIBUTE_BYTES, EFI_VARIABLES } from "../machine/system.ts";
import type { Mounts } from "./mounts.ts";

const LOADER_INTERFACE = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/** Debian and its derivatives; Red Hat, SUSE and theirs. */
const GRUB_FOLDERS = ["/boot/grub", "/boot/grub2"];
const ESP_PATHS = ["/boot/efi", "/efi", "/boot"];

/** Which boot loader starts this system, and where its files are. */
export async function collectBootLoader(machine: Machine, mounts: Mounts): Promise<BootLoader> {
  const espPath = ESP_PATHS.find((path) =>
    mounts.all.some((mount) => mount.mountPoint === path && mount.type === "vfat"),
  );
  const common = { entries: await collectBootEntries(machine), ...(espPath && { espPath }) };
  const systemd = espPath && (await findSystemdBoot(machine, espPath));
  const grub = await findGrub(machine, mounts, espPath);
  // Both may be installed: systemd-boot records it if it was the one that ran.
  const ran = (await machine.read(`${EFI_VARIABLES}/LoaderInfo-${LOADER_INTERFACE}`))
    ?.subarray(EFI_ATTRIBUTE_BYTES)
    .toString("utf16le");
  if (systemd && (ran?.startsWith("systemd-boot") || !grub)) return { ...common, ...systemd };
  if (grub) return { ...common, ...grub };
  const lilo = "/etc/lilo.conf";
  if ((await readText(machine, lilo)) !== undefined) return { ...common, kind: "lilo", configPath: lilo };
  return { ...common, kind: UNKNOWN };
}

type Found = Omit<BootLoader, "entries">;

async function findSystemdBoot(machine: Machine, espPath: string): Promise<Found | undefined> {
  const files = await machine.list(`${espPath}/EFI/systemd`);
  if (!files.some((name) => /^systemd-boot.*\.efi$/i.test(name))) return undefined;
  return { kind: "systemd-boot", configPath: `${espPath}/loader/loader.conf` };
}

async function findGrub(
  machine: Machine,
  mounts: Mounts,
  espPath: string | undefined,
): Promise<Found | undefined> {
  // Some distributions keep GRUB's files on the ESP, in a folder with their own name.
  const vendors = espPath ? await machine.list(`${espPath}/EFI`) : [];
  const folders = [...GRUB_FOLDERS, ...vendors.map((vendor) => `${espPath}/EFI/${vendor}`)];
  for (const folder of folders) {
    const config = `${folder}/grub.cfg`;
    if ((await readText(machine, config)) === undefined) continue;
    const environment = await machine.resolve(`${folder}/grubenv`);
    const hasEnvironment = environment !== undefined && (await readText(machine, environment)) !== undefined;
    if (!hasEnvironment) return { kind: "grub", configPath: config };
    const mount = mounts.holding(environment);
    return {
      kind: "grub",
      configPath: config,
      environmentPath: environment,
      environmentFileSystem: mount?.type ?? UNKNOWN,
      ...(mount && { environmentDevice: mount.source }),
    };
  }
  return undefined;
}
