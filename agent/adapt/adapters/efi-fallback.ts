import type { Adaptation, Adapter } from "../adapter.ts";
import { textOf } from "../captured-system.ts";

const MOUNTS = ["/boot/efi", "/efi", "/boot"];
const FALLBACK = "EFI/BOOT/BOOTX64.EFI";
/** In the order of preference. Without Secure Boot, shim has no use. */
const LOADERS = ["grubx64.efi", "systemd-bootx64.efi", "shimx64.efi"];
/** Folders that are not named as the system names itself. */
const FOLDER_OF: Readonly<Record<string, string>> = { rhel: "redhat", ol: "redhat", sles: "sles" };

/** A new machine's firmware has no boot entries. It starts the fallback, which Debian does not install. */
export const efiFallback: Adapter = {
  reads: [...MOUNTS.map((mount) => `${mount}/EFI/*/*`), "/etc/os-release", "/usr/lib/os-release"],
  adapt(system, { firmware }): Adaptation {
    if (firmware !== "uefi") return {};
    const paths = [...system.files.keys()];
    const mount = MOUNTS.find((each) => paths.some((path) => path.startsWith(`${each}/EFI/`)));
    if (mount === undefined)
      return { notes: ["no EFI system partition is mounted: the firmware may find nothing to start"] };
    if (paths.some((path) => path.toLowerCase() === `${mount}/${FALLBACK}`.toLowerCase())) return {};
    const release = textOf(system, "/etc/os-release") ?? textOf(system, "/usr/lib/os-release") ?? "";
    const id = /^ID="?([\w.-]+)"?/m.exec(release)?.[1] ?? "";
    const folders = [FOLDER_OF[id] ?? id, "systemd"].map((name) => `${mount}/EFI/${name}/`.toLowerCase());
    const wanted = folders.flatMap((folder) => LOADERS.map((loader) => folder + loader));
    const found = wanted
      .map((path) => paths.find((each) => each.toLowerCase() === path))
      .find((path) => path !== undefined);
    const loader = found === undefined ? undefined : system.files.get(found);
    if (!loader) return { notes: [`${mount} has no boot loader that the firmware finds by itself`] };
    const why = `the firmware has no boot entries yet, and starts this copy of ${found}`;
    return { edits: [{ path: `${mount}/${FALLBACK}`, after: loader.content, why }] };
  },
};
