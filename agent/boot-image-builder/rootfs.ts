import { readdir, readFile } from "node:fs/promises";
import { basename, join, posix } from "node:path";
import type { ArchiveEntry } from "../boot-image/cpio.ts";
import type { Driver } from "../boot-image/manifest.ts";
import { collectModules } from "./kernel-modules.ts";
import type { Sysroot } from "./sysroot.ts";
import { CONFIGURATION, EMPTY_FOLDERS, PROGRAM_LINKS, PROGRAMS, ROOT_LINKS } from "./userland.ts";

const FILES = join(import.meta.dirname, "files");
/** Where the image keeps Causeway's own files. */
const OWN_FOLDER = "usr/lib/causeway";
/** Scripts that belong elsewhere. */
const SCRIPT_PLACES: Readonly<Record<string, string>> = {
  init: "init",
  "causeway-agent": "usr/bin/causeway-agent",
};

export interface SystemPart {
  entries: ArchiveEntry[];
  drivers: Driver[];
  programs: string[];
  firmware: string[];
}

export interface AgentFiles {
  /** The Node executable, without debugging symbols. */
  node: Buffer;
  /** The bundle: `main.mjs` and its worker threads' scripts. */
  scripts: ReadonlyMap<string, Buffer>;
}

/**
 * The system of the boot environment: everything but the agent. `firmwareDir` is laid out like
 * `/lib/firmware`.
 */
export async function systemPart(
  sysroot: Sysroot,
  { firmwareDir, libraryUsers }: { firmwareDir: string | undefined; libraryUsers: readonly Buffer[] },
): Promise<SystemPart> {
  const tree = new Tree();
  for (const path of EMPTY_FOLDERS) tree.folder(path);
  for (const [path, target] of Object.entries(ROOT_LINKS)) tree.link(path, target);
  for (const [path, text] of Object.entries(CONFIGURATION)) tree.file(path, Buffer.from(text), 0o644);
  // The kernel opens the console before it mounts anything.
  tree.device("dev/console", 0o600, 5, 1);
  tree.device("dev/null", 0o666, 1, 3);
  const firmware = firmwareDir === undefined ? [] : await addFirmware(tree, firmwareDir);
  const { entries, drivers } = await collectModules(sysroot, new Set(firmware));
  for (const entry of entries) tree.add(entry);
  const programs = await addPrograms(tree, sysroot, libraryUsers);
  for (const script of await readdir(FILES)) {
    tree.file(
      SCRIPT_PLACES[script] ?? posix.join(OWN_FOLDER, script),
      await readFile(join(FILES, script)),
      0o755,
    );
  }
  return { entries: tree.entries(), drivers, programs, firmware };
}

/**
 * The agent: Node and a bundle, started by `usr/bin/causeway-agent`. Leaves out folders that the system part
 * has.
 */
export function agentPart({ node, scripts }: AgentFiles): ArchiveEntry[] {
  const entries: ArchiveEntry[] = [
    { kind: "file", path: "usr/bin/node", mode: 0o755, data: node },
    { kind: "directory", path: `${OWN_FOLDER}/agent`, mode: 0o755 },
  ];
  for (const [name, data] of scripts) {
    entries.push({ kind: "file", path: `${OWN_FOLDER}/agent/${name}`, mode: 0o644, data });
  }
  return entries;
}

async function addPrograms(tree: Tree, sysroot: Sysroot, others: readonly Buffer[]): Promise<string[]> {
  const programs: { name: string; content: Buffer }[] = others.map((content) => ({
    name: "the agent",
    content,
  }));
  const installed: string[] = [];
  for (const path of PROGRAMS) {
    const content = await sysroot.read(path);
    programs.push({ name: path, content });
    const target = merged(path);
    tree.file(target, content, 0o755);
    installed.push(target);
  }
  for (const path of await sysroot.librariesOf(programs)) {
    tree.file(merged(path), await sysroot.read(path), 0o755);
  }
  for (const [path, target] of Object.entries(PROGRAM_LINKS)) tree.link(path, target);
  const applets = (await sysroot.run("/bin/busybox", ["--list-full"], {})).trim().split("\n");
  for (const applet of applets) addApplet(tree, applet);
  return installed.sort();
}

/** Adds a busybox applet, unless a full program has its name in either folder: both are searched. */
function addApplet(tree: Tree, applet: string): void {
  const path = merged(`/${applet}`);
  const name = basename(path);
  if (tree.has(`usr/bin/${name}`) || tree.has(`usr/sbin/${name}`)) return;
  tree.link(path, path.startsWith("usr/bin/") ? "busybox" : "../bin/busybox");
}

async function addFirmware(tree: Tree, folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = names
    .filter((entry) => entry.isFile())
    .map((entry) => posix.join(entry.parentPath.slice(folder.length + 1), entry.name))
    .sort();
  for (const name of files) tree.file(`usr/lib/firmware/${name}`, await readFile(join(folder, name)), 0o644);
  return files;
}

/**
 * The path in the image for a path in a package: `/bin`, `/sbin` and `/lib` are links to those below `/usr`.
 */
function merged(path: string): string {
  return path.startsWith("/usr/") ? path.slice(1) : `usr${path}`;
}

/** Entries of an archive and the folders that contain them. */
class Tree {
  readonly #entries = new Map<string, ArchiveEntry>();

  has(path: string): boolean {
    return this.#entries.has(path);
  }

  file(path: string, data: Uint8Array, mode: number): void {
    this.add({ kind: "file", path, mode, data });
  }

  link(path: string, target: string): void {
    this.add({ kind: "link", path, target });
  }

  device(path: string, mode: number, major: number, minor: number): void {
    this.add({ kind: "character-device", path, mode, major, minor });
  }

  folder(path: string): void {
    // The job's folder holds an identity.
    if (!this.has(path)) this.add({ kind: "directory", path, mode: path === "causeway" ? 0o700 : 0o755 });
  }

  add(entry: ArchiveEntry): void {
    const parent = posix.dirname(entry.path);
    if (parent !== ".") this.folder(parent);
    this.#entries.set(entry.path, entry);
  }

  entries(): ArchiveEntry[] {
    return [...this.#entries.values()];
  }
}
