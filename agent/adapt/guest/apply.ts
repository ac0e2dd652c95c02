import { hash } from "node:crypto";
import type { SourceDiskIdentity } from "#shared/protocol/wanted-machine.ts";
import type { FileChange } from "../messages.ts";
import type { MountedSystem } from "./mounted-system.ts";
import { inputsOf, readSystemFacts } from "./read-system.ts";
import { SystemFiles } from "./system-files.ts";

export interface ChangeWithContent {
  change: FileChange;
  content?: Buffer | undefined;
}

/**
 * Makes the changes, if everything that they were computed from is still the same; otherwise changes nothing
 * and returns what is not. A change that has been made before counts as made, so an interrupted call can be
 * repeated. Calls `onWriting` before the first one.
 */
export async function applyChanges(
  system: Pick<MountedSystem, "root" | "run" | "volumes">,
  disks: readonly SourceDiskIdentity[],
  inputs: ReadonlyMap<string, string>,
  changes: readonly ChangeWithContent[],
  onWriting: () => void,
): Promise<{ stale: string[] }> {
  const files = new SystemFiles(system);
  const now = await inputsOf(readSystemFacts(files), files, { volumes: system.volumes, disks });
  const made = new Map(changes.map(({ change }) => [change.path, change.after?.sha256]));
  const isSame = (name: string) =>
    now.get(name) === inputs.get(name) || (made.has(name) && now.get(name) === made.get(name));
  const stale = [...new Set([...inputs.keys(), ...now.keys()])].filter((name) => !isSame(name));
  const left: { change: FileChange; content: Buffer | undefined }[] = [];
  for (const { change, content } of changes) {
    const found = await files.hash(change.path);
    if (found === change.after?.sha256) continue;
    if (found === change.beforeSha256) left.push({ change, content: contentOf(change, content) });
    else if (!stale.includes(change.path)) stale.push(change.path);
  }
  if (stale.length > 0) return { stale: stale.sort() };
  if (left.length > 0) onWriting();
  for (const { change, content } of left) {
    if (content) await files.write(change.path, content, change.mode);
    else await files.remove(change.path);
  }
  return { stale: [] };
}

/** `undefined` for a file that is removed. */
function contentOf({ path, after }: FileChange, content: Buffer | undefined): Buffer | undefined {
  if (!after || (content && hash("sha256", content, "hex") === after.sha256)) return content;
  throw new Error(`the content of ${path} is not what its change says`);
}
