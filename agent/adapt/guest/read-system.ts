import { hash } from "node:crypto";
import { canonicalJson } from "#shared/protocol/canonical-json.ts";
import type { SourceDiskIdentity } from "#shared/protocol/wanted-machine.ts";
import { DRILL_UNITS } from "../adapters/drill-services.ts";
import { ADAPTERS } from "../adapters.ts";
import type { CapturedSystem, InstalledKernel, SystemFile } from "../captured-system.ts";
import type { MountedSystem } from "./mounted-system.ts";
import type { SystemFiles } from "./system-files.ts";

/** Programs that adapters ask for, and other places of them in older systems. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  "/usr/lib/systemd/systemd-udevd": ["/lib/systemd/systemd-udevd"],
  "/usr/sbin/update-initramfs": ["/sbin/update-initramfs"],
  "/usr/bin/dracut": ["/sbin/dracut", "/usr/sbin/dracut"],
  "/usr/bin/ssh-keygen": [],
  "/usr/sbin/resolvconf": ["/sbin/resolvconf"],
};
const UNIT_FOLDERS = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
const INITRAMFS_NAMES = ["initrd.img-*", "initramfs-*.img", "initrd-*", "initramfs-*"];
/** Programs that list the files in an initramfs, one in a line. */
const LISTERS = [
  ["/usr/bin/lsinitramfs", "lsinitramfs"],
  ["/usr/bin/lsinitrd", "lsinitrd"],
] as const;

/** Everything that the changes are computed from but what is in the initramfs images. */
export interface SystemFacts {
  files: ReadonlyMap<string, SystemFile>;
  kernels: readonly { version: string; initramfs?: string | undefined; modulesFile: string }[];
  units: ReadonlySet<string>;
  programs: ReadonlySet<string>;
}

export function readSystemFacts(files: SystemFiles): SystemFacts {
  const found = new Map<string, SystemFile>();
  for (const pattern of new Set(ADAPTERS.flatMap(({ reads }) => reads)))
    for (const path of files.matching(pattern)) {
      const file = files.read(path);
      if (file) found.set(path, file);
    }
  return {
    files: found,
    kernels: kernelsIn(files),
    units: unitsIn(files),
    programs: programsIn(files),
  };
}

/** A hash for each thing that the changes depend on: another one means that they may be others. */
export async function inputsOf(
  { files: found, kernels, units, programs }: SystemFacts,
  files: SystemFiles,
  { volumes, disks }: Pick<CapturedSystem, "volumes" | "disks">,
): Promise<Map<string, string>> {
  const inputs = new Map<string, string>();
  for (const [path, { content }] of found) inputs.set(path, hash("sha256", content, "hex"));
  for (const { initramfs, modulesFile } of kernels)
    for (const path of [initramfs, modulesFile]) {
      if (path === undefined) continue;
      const sha256 = await files.hash(path);
      if (sha256 === undefined) throw new Error(`${path} is not a file`);
      inputs.set(path, sha256);
    }
  const lists = {
    ...{ kernels: kernels.map(({ version }) => version), units, programs },
    volumes: volumes.map(({ disk, partition, logical, type, uuid, partUuid }) =>
      canonicalJson({ disk, partition, logical, type, uuid, partUuid }),
    ),
    disks: disks.map(({ name, serial, wwid, isOnly }) => canonicalJson({ name, serial, wwid, isOnly })),
  };
  for (const [name, list] of Object.entries(lists))
    inputs.set(name, hash("sha256", canonicalJson([...list].sort()), "hex"));
  return inputs;
}

/** The facts with what the kernels and their initramfs images have, which takes some seconds each. */
export async function capturedSystem(
  facts: SystemFacts,
  system: Pick<MountedSystem, "run" | "volumes">,
  files: SystemFiles,
  disks: readonly SourceDiskIdentity[],
): Promise<CapturedSystem> {
  const kernels: InstalledKernel[] = [];
  for (const { version, initramfs, modulesFile } of facts.kernels) {
    const builtIn = modulesFile.replace(/dep$/, "builtin");
    kernels.push({
      version,
      builtIn: new Set(moduleNames(textAt(files, builtIn))),
      modules: new Set(moduleNames(textAt(files, modulesFile))),
      ...(initramfs === undefined
        ? {}
        : { initramfs: { path: initramfs, modules: await modulesIn(initramfs, system, files) } }),
    });
  }
  return { ...facts, kernels, volumes: system.volumes, disks };
}

function kernelsIn(files: SystemFiles): SystemFacts["kernels"] {
  const names = files.names("/boot");
  const kernels: { version: string; initramfs?: string | undefined; modulesFile: string }[] = [];
  for (const name of names) {
    const [, version] = /^vmlinu[xz]-(.+)$/.exec(name) ?? [];
    if (version === undefined) continue;
    const modulesFile = `/lib/modules/${version}/modules.dep`;
    if (!files.exists(modulesFile)) continue;
    const initramfs = INITRAMFS_NAMES.map((each) => each.replace("*", version)).find((each) =>
      names.includes(each),
    );
    kernels.push({ version, modulesFile, ...(initramfs ? { initramfs: `/boot/${initramfs}` } : {}) });
  }
  return kernels;
}

function unitsIn(files: SystemFiles): Set<string> {
  const names = UNIT_FOLDERS.flatMap((folder) => files.names(folder));
  const scripts = files.names("/etc/init.d").map((name) => `${name}.service`);
  const there = new Set([...names, ...scripts]);
  return new Set(DRILL_UNITS.filter((unit) => there.has(unit)));
}

function programsIn(files: SystemFiles): Set<string> {
  const there = new Set<string>();
  for (const [program, others] of Object.entries(PROGRAMS))
    for (const path of [program, ...others]) if (files.exists(path)) there.add(program);
  return there;
}

function textAt(files: SystemFiles, path: string): string {
  return files.read(path)?.content.toString("latin1") ?? "";
}

/** The drivers in an initramfs, as the system's own programs list them. */
export async function modulesIn(
  initramfs: string,
  system: Pick<MountedSystem, "run">,
  files: SystemFiles,
): Promise<ReadonlySet<string> | "unknown"> {
  for (const [program, command] of LISTERS) {
    if (!files.exists(program)) continue;
    const { succeeded, output } = await system.run([command, initramfs]);
    if (succeeded) return new Set(moduleNames(output));
  }
  return "unknown";
}

/** Names of modules as `lsmod` shows them, of lines that begin or end with a module's path. */
function moduleNames(text: string): string[] {
  return [...text.matchAll(/([^/\s]+)\.ko(?:\.(?:xz|gz|zst))?(?=[:\s]|$)/gm)].map(([, name = ""]) =>
    name.replaceAll("-", "_"),
  );
}
