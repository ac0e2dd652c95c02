import { BootImageBuildError } from "../boot-image/errors.ts";

/** What `depmod` wrote about a kernel, as text. */
export interface ModuleIndex {
  /** `modules.dep`: each module's file and the files of all modules it needs. */
  dependencies: string;
  /** `modules.softdep`: what should be loaded with a module, if available. */
  softDependencies: string;
  /** `modules.alias`: patterns by which modules are requested. */
  aliases: string;
  /** `modules.builtin`: what is built into the kernel. */
  builtin: string;
}

/**
 * The files (paths below the kernel's module folder, sorted) of the wanted modules and of everything they
 * need, including soft dependencies: `modprobe` would load those, too, although its own listing leaves them
 * out. Throws `BootImageBuildError` for a wanted module that this kernel has neither as a file nor built in.
 */
export function moduleClosure(wanted: readonly string[], index: ModuleIndex): string[] {
  const modules = parseDependencies(index.dependencies);
  const builtin = new Set(lines(index.builtin).map(moduleName));
  const soft = parseSoftDependencies(index.softDependencies);
  const aliases = parseAliases(index.aliases);
  const missing = wanted.filter((name) => !modules.has(name) && !builtin.has(name));
  if (missing.length > 0) {
    throw new BootImageBuildError(`the kernel has no ${missing.join(", ")}`);
  }
  const queue = wanted.filter((name) => modules.has(name));
  const found = new Map<string, string>();
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const module = modules.get(name);
    if (found.has(name) || !module) continue;
    found.set(name, module.file);
    queue.push(...module.needs.map(moduleName));
    for (const request of soft.get(name) ?? []) queue.push(...resolveRequest(request, modules, aliases));
  }
  return [...found.values()].sort();
}

/** The kernel's name for a module, from its file. */
export function moduleName(file: string): string {
  const base = file.slice(file.lastIndexOf("/") + 1).replace(/\.ko(\.\w+)?$/, "");
  return base.replaceAll("-", "_");
}

interface Module {
  file: string;
  needs: string[];
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

function parseDependencies(text: string): Map<string, Module> {
  const modules = new Map<string, Module>();
  for (const line of lines(text)) {
    const colon = line.indexOf(":");
    const file = line.slice(0, colon);
    modules.set(moduleName(file), {
      file,
      needs: line
        .slice(colon + 1)
        .split(" ")
        .filter(Boolean),
    });
  }
  return modules;
}

/** Lines are `softdep MODULE pre: A B post: C`; the order does not matter for what the image must contain. */
function parseSoftDependencies(text: string): Map<string, string[]> {
  const soft = new Map<string, string[]>();
  for (const line of lines(text)) {
    const [, name = "", ...words] = line.split(" ");
    const requests = words.filter((word) => word !== "pre:" && word !== "post:");
    soft.set(name, [...(soft.get(name) ?? []), ...requests]);
  }
  return soft;
}

function parseAliases(text: string): Map<string, string[]> {
  const aliases = new Map<string, string[]>();
  for (const line of lines(text)) {
    const [, alias = "", name = ""] = line.split(" ");
    const key = alias.replaceAll("-", "_");
    aliases.set(key, [...(aliases.get(key) ?? []), name]);
  }
  return aliases;
}

/**
 * A soft dependency names a module or an alias (`crypto-crc32c`). Like `modprobe`, leaves out one that
 * nothing provides.
 */
function resolveRequest(
  request: string,
  modules: Map<string, Module>,
  aliases: Map<string, string[]>,
): string[] {
  const name = request.replaceAll("-", "_");
  return modules.has(name) ? [name] : (aliases.get(name) ?? []);
}
