import { type Adapter, textEdit } from "../adapter.ts";
import { textOf } from "../captured-system.ts";
import { replacementFor } from "../device-name.ts";

const PATH = "/etc/crypttab";
const ENTRY = /^(\s*[^\s#]\S*\s+)(\S+)/;

/** `/etc/crypttab`, which the initramfs contains, too. */
export const crypttab: Adapter = {
  reads: [PATH],
  adapt(system) {
    const before = textOf(system, PATH);
    if (before === undefined) return {};
    const notes: string[] = [];
    const lines = before.split("\n").map((line) => {
      const [, head = "", device = ""] = ENTRY.exec(line) ?? [];
      const replacement = device === "" ? undefined : replacementFor(device, system);
      if (replacement === undefined) return line;
      if (replacement === "unknown") {
        notes.push(`${PATH} unlocks ${device}; no disk of this copy is known by that name`);
        return line;
      }
      // The programs that read this file know `PARTUUID=` only since systemd 236.
      const name = replacement.name.replace(/^PARTUUID=/, "/dev/disk/by-partuuid/");
      return head + name + line.slice(head.length + device.length);
    });
    const edits = textEdit(PATH, before, lines.join("\n"), "disks have other names on other hardware");
    return { edits, notes, rebuild: edits.map(() => ({ why: `it contains ${PATH}` })) };
  },
};
