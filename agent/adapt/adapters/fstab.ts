import { type Adapter, textEdit } from "../adapter.ts";
import { textOf } from "../captured-system.ts";
import { replacementFor } from "../device-name.ts";

const PATH = "/etc/fstab";
const ENTRY = /^(\s*)([^\s#]\S*)\s+(\S+)\s+\S/;

/** `/etc/fstab`: a system stops at its start if a device that is named there does not appear. */
export const fstab: Adapter = {
  reads: [PATH],
  adapt(system) {
    const before = textOf(system, PATH);
    if (before === undefined) return {};
    const notes: string[] = [];
    const lines = before.split("\n").map((line) => {
      const [, indent = "", device = "", place = ""] = ENTRY.exec(line) ?? [];
      const replacement = device === "" ? undefined : replacementFor(device, system);
      if (replacement === undefined) return line;
      if (replacement === "unknown") {
        notes.push(`${PATH} mounts ${device} at ${place}; no disk of this copy is known by that name`);
        return line;
      }
      return indent + replacement.name + line.slice(indent.length + device.length);
    });
    const why = "disks have other names on other hardware";
    return { edits: textEdit(PATH, before, lines.join("\n"), why), notes };
  },
};
