import { type Adaptation, type AdaptedSystem, textEdit } from "./adapter.ts";
import { textOf } from "./captured-system.ts";
import { replacementFor } from "./device-name.ts";

/** A file with a device in each of its lines. */
export interface DeviceTable {
  path: string;
  /** Of a line that names a device: what stands before it, the device, and what else `unknown` gets. */
  entry: RegExp;
  /** How the file writes a stable name; as it is if absent. */
  nameOf?: (name: string) => string;
  /** What the operator reads of a device that no disk of this copy is known by. */
  unknown: (device: string, more: string) => string;
}

/** Gives the devices in such a file the names by which they are found on any hardware. */
export function adaptedTable(
  { path, entry, nameOf = (name) => name, unknown }: DeviceTable,
  system: AdaptedSystem,
): Required<Pick<Adaptation, "edits" | "notes">> {
  const before = textOf(system, path);
  if (before === undefined) return { edits: [], notes: [] };
  const notes: string[] = [];
  const lines = before.split("\n").map((line) => {
    const [, head = "", device = "", more = ""] = entry.exec(line) ?? [];
    const replacement = device === "" ? undefined : replacementFor(device, system);
    if (replacement === undefined) return line;
    if (replacement === "unknown") {
      notes.push(`${path} ${unknown(device, more)}; no disk of this copy is known by that name`);
      return line;
    }
    return head + nameOf(replacement.name) + line.slice(head.length + device.length);
  });
  const edits = textEdit(path, before, lines.join("\n"), "disks have other names on other hardware");
  return { edits, notes };
}
