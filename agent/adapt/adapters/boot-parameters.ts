import type { WantedMachine } from "#shared/protocol/wanted-machine.ts";
import { type Adapter, type FileEdit, textEdit } from "../adapter.ts";
import { type CapturedSystem, filesMatching, textOf } from "../captured-system.ts";
import { adaptedParameters, withConsoles } from "../kernel-parameters.ts";

/** Where the parameters of this system's kernel are: each match has the text before them, and them. */
const PLACES: readonly { files: readonly string[]; line: RegExp }[] = [
  {
    // What `update-grub` would write later is the same, because `/etc/default/grub` is adapted, too.
    files: ["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/efi/EFI/*/grub.cfg"],
    line: /^(\s*(?:linux|linux16|linuxefi|module2?)\s+\S+\s+)(.*\broot=.*)$/gm,
  },
  {
    files: ["/boot/grub/menu.lst", "/boot/grub/grub.conf"],
    line: /^((?:# kopt=|\s*kernel\s+\S+\s+))(.*\broot=.*)$/gm,
  },
  {
    files: ["/boot/loader/entries/*.conf", "/boot/efi/loader/entries/*.conf", "/efi/loader/entries/*.conf"],
    line: /^(options\s+)(.*\broot=.*)$/gm,
  },
  { files: ["/etc/kernel/cmdline"], line: /^()(.*\broot=.*)$/gm },
];
/** Every line by which a boot loader gives a kernel its parameters, also those without a root. */
const KERNEL_LINE = /^\s*(?:linux|linux16|linuxefi|kernel|options)\s.*$/gm;
const WHY = "the kernel finds its root on any hardware, and shows its start on the serial console";

const DEFAULTS = "/etc/default/grub";
const DEFAULTS_LINE =
  /^(\s*(?:export\s+)?(GRUB_CMDLINE_LINUX(?:_DEFAULT|_RECOVERY)?)=)(["']?)([^"'\n]*)(["']?)[ \t]*$/gm;
const BY_DEVICE = /^(\s*GRUB_DISABLE_(?:LINUX_UUID|UUID)=)["']?true["']?[ \t]*$/gm;

/** The parameters of the kernel, in every file that a boot loader or its tools take them from. */
export const bootParameters: Adapter = {
  reads: [...PLACES.flatMap(({ files }) => files), DEFAULTS],
  adapt(system, wanted) {
    const notes = new Set<string>();
    const edits = PLACES.flatMap(({ files, line }) =>
      filesMatching(system, files).flatMap(({ path, text }) => {
        const after = text.replace(line, (_, head: string, parameters: string) => {
          const adapted = adaptedParameters(parameters, system, wanted);
          for (const note of adapted.notes) notes.add(`${path}: ${note}`);
          return head + withConsoles(adapted.parameters);
        });
        return textEdit(path, text, after, WHY);
      }),
    );
    return { edits: [...edits, ...defaultsEdit(system, wanted, notes)], notes: [...notes] };
  },
};

/** Whether every kernel that a boot loader is known to start gets this parameter. */
export function everyKernelGets(parameter: string, system: Pick<CapturedSystem, "files">): boolean {
  const lines = PLACES.flatMap(({ files }) => filesMatching(system, files)).flatMap(({ text }) =>
    [...text.matchAll(KERNEL_LINE)].map(([line]) => line),
  );
  return lines.length > 0 && lines.every((line) => line.split(/\s+/).includes(parameter));
}

/** What GRUB's own tools make `grub.cfg` of. */
function defaultsEdit(system: CapturedSystem, wanted: WantedMachine, notes: Set<string>): FileEdit[] {
  const before = textOf(system, DEFAULTS);
  if (before === undefined) return [];
  const adapted = before
    .replace(BY_DEVICE, "$1false")
    .replace(DEFAULTS_LINE, (_, head: string, __, open: string, parameters: string, close: string) => {
      const result = adaptedParameters(parameters, system, wanted);
      for (const note of result.notes) notes.add(`${DEFAULTS}: ${note}`);
      return head + open + result.parameters + close;
    });
  const values = [...adapted.matchAll(DEFAULTS_LINE)];
  const hasConsole = values.some(([, , , , parameters = ""]) => parameters === withConsoles(parameters));
  const after =
    hasConsole || !values.some(([, , name]) => name === "GRUB_CMDLINE_LINUX")
      ? adapted
      : adapted.replace(DEFAULTS_LINE, (line, head: string, name: string, _, parameters: string) =>
          name === "GRUB_CMDLINE_LINUX" ? `${head}"${withConsoles(parameters)}"` : line,
        );
  return textEdit(DEFAULTS, before, after, WHY);
}
