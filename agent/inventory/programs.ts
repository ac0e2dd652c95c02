import { type Machine, readText } from "../machine/machine.ts";

/** The command lines of running programs, by the kernel's name for the program: its first 15 characters. */
export async function runningPrograms(machine: Machine): Promise<Map<string, string[]>> {
  const programs = new Map<string, string[]>();
  for (const entry of await machine.list("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const name = await readText(machine, `/proc/${entry}/comm`);
    if (name === undefined) continue;
    const bytes = await machine.read(`/proc/${entry}/cmdline`);
    const commandLine = bytes?.toString("utf8").replaceAll("\0", " ").trim() ?? "";
    programs.set(name, [...(programs.get(name) ?? []), commandLine]);
  }
  return programs;
}
