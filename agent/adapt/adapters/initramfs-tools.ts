import type { WantedMachine } from "#shared/protocol/wanted-machine.ts";
import { type Adaptation, type Adapter, textEdit } from "../adapter.ts";
import { type CapturedSystem, filesMatching, textOf } from "../captured-system.ts";
import { replacementFor } from "../device-name.ts";
import { driversOf } from "../hardware-drivers.ts";

const MAIN = "/etc/initramfs-tools/initramfs.conf";
const PARTS = "/etc/initramfs-tools/conf.d/*";
const MODULES = "/etc/initramfs-tools/modules";

/**
 * initramfs-tools, of Debian and Ubuntu. `MODULES=dep` takes the drivers of the hardware on which it runs,
 * which is neither the old nor the new one while the system is adapted.
 */
export const initramfsTools: Adapter = {
  reads: [MAIN, PARTS, MODULES],
  adapt(system, wanted): Adaptation {
    const missing = missingDrivers(system, wanted);
    const notes: string[] = [];
    const settings = filesMatching(system, [MAIN, PARTS]).flatMap(({ path, text }) => {
      const portable = missing.length === 0 ? text : text.replace(/^(\s*MODULES=)["']?dep["']?/gm, "$1most");
      const after = portable.replace(
        /^(\s*RESUME=)(["']?)(\/dev\/[^\s"']+)\2/gm,
        (line: string, name: string, _, device: string) => {
          const replacement = replacementFor(device, system);
          if (replacement === "unknown") notes.push(`${path} resumes from ${device}, which is not known`);
          return typeof replacement === "object" ? name + replacement.name : line;
        },
      );
      return textEdit(path, text, after, "an initramfs that is built on any hardware fits the new one");
    });
    const resumes = settings.some(({ after }) => after?.includes("RESUME="));
    return {
      edits: [...settings, ...moduleEdit(system, missing)],
      notes,
      rebuild: resumes ? [{ why: "it contains the device to resume from" }] : [],
    };
  },
};

/** What at least one initramfs lacks that its kernel has as a module. */
function missingDrivers({ kernels }: CapturedSystem, wanted: WantedMachine): string[] {
  const built = kernels.filter(({ initramfs }) => initramfs);
  return [...new Set(built.flatMap((kernel) => driversOf(kernel, wanted).missing))];
}

function moduleEdit(system: CapturedSystem, missing: readonly string[]) {
  const before = textOf(system, MODULES);
  if (before === undefined) return [];
  const named = new Set(before.split("\n").map((line) => line.trim().split(/\s/)[0]?.replaceAll("-", "_")));
  const added = missing.filter((driver) => !named.has(driver));
  if (added.length === 0) return [];
  const after = `${before}${before === "" || before.endsWith("\n") ? "" : "\n"}${added.join("\n")}\n`;
  return textEdit(MODULES, before, after, "every initramfs has the drivers of the machine's disks");
}
