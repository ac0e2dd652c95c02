import { link, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ArchiveEntry } from "../boot-image/cpio.ts";
import type { Driver } from "../boot-image/manifest.ts";
import { DRIVER_GROUPS, NEEDS_FIRMWARE } from "./drivers.ts";
import { moduleClosure, moduleName } from "./module-set.ts";
import type { Sysroot } from "./sysroot.ts";

/** What the running `modprobe` reads; the other files that `depmod` writes are for people. */
const INDEX_FILES = [
  "modules.dep",
  "modules.dep.bin",
  "modules.alias",
  "modules.alias.bin",
  "modules.softdep",
  "modules.symbols.bin",
  "modules.builtin",
  "modules.builtin.bin",
  "modules.builtin.alias.bin",
  "modules.builtin.modinfo",
  "modules.devname",
];

export interface KernelModules {
  /** Files only, without their folders. */
  entries: ArchiveEntry[];
  drivers: Driver[];
}

/**
 * The drivers of `DRIVER_GROUPS` with everything they need, and a new index; `firmware`: names of the
 * firmware files in the image.
 */
export async function collectModules(
  sysroot: Sysroot,
  firmware: ReadonlySet<string>,
): Promise<KernelModules> {
  const release = await sysroot.kernelRelease();
  const folder = `lib/modules/${release}`;
  const read = (name: string) => readFile(join(sysroot.dir, folder, name), "utf8");
  const wanted = DRIVER_GROUPS.flatMap(({ modules }) => modules);
  const files = moduleClosure(wanted, {
    dependencies: await read("modules.dep"),
    softDependencies: await read("modules.softdep"),
    aliases: await read("modules.alias"),
    builtin: await read("modules.builtin"),
  });
  const entries: ArchiveEntry[] = [];
  const lackers = new Set<string>();
  for (const file of files) {
    const data = await readFile(join(sysroot.dir, folder, file));
    entries.push({ kind: "file", path: `usr/${folder}/${file}`, mode: 0o644, data });
    if (firmwareOf(data).some((name) => !firmware.has(name))) lackers.add(moduleName(file));
  }
  entries.push(...(await index(sysroot, release, files)));
  const loadable = new Set(files.map(moduleName));
  const drivers = [...new Set([...loadable, ...wanted])].map((name): Driver => {
    const needs = NEEDS_FIRMWARE[name];
    const lacks = needs !== undefined && lackers.has(needs.askedBy);
    return {
      name,
      kind: kindOf(name),
      builtIn: !loadable.has(name),
      ...(lacks ? { lacksFirmware: needs.package } : {}),
    };
  });
  return { entries, drivers: drivers.sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

function kindOf(name: string): Driver["kind"] {
  return DRIVER_GROUPS.find(({ modules }) => modules.includes(name))?.kind ?? "dependency";
}

/**
 * The firmware files that a module names in its `.modinfo` section, whose entries are strings between zero
 * bytes.
 */
export function firmwareOf(module: Buffer): string[] {
  const names: string[] = [];
  const sign = Buffer.from("\0firmware=", "latin1");
  for (let at = module.indexOf(sign); at >= 0; at = module.indexOf(sign, at + 1)) {
    const start = at + sign.length;
    names.push(module.toString("latin1", start, module.indexOf(0, start)));
  }
  return names;
}

/** Runs `depmod` on these modules only, in a folder of links to them. */
async function index(sysroot: Sysroot, release: string, files: readonly string[]): Promise<ArchiveEntry[]> {
  const folder = `lib/modules/${release}`;
  const base = await mkdtemp(join(dirname(sysroot.dir), "index-"));
  try {
    for (const file of [...files, "modules.order", "modules.builtin", "modules.builtin.modinfo"]) {
      await mkdir(dirname(join(base, folder, file)), { recursive: true });
      await link(join(sysroot.dir, folder, file), join(base, folder, file));
    }
    await sysroot.run("/bin/kmod", ["-b", base, release], { as: "depmod" });
    return await Promise.all(
      INDEX_FILES.map(async (name) => ({
        kind: "file" as const,
        path: `usr/${folder}/${name}`,
        mode: 0o644,
        data: await readFile(join(base, folder, name)),
      })),
    );
  } finally {
    await rm(base, { recursive: true, force: true });
  }
}
