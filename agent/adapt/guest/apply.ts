import { hash } from "node:crypto";
import { lstat } from "node:fs/promises";
import { FileHashes } from "../../machine/file-hashes.ts";
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
 * repeated.
 */
export async function applyChanges(
  system: Pick<MountedSystem, "root">,
  inputs: ReadonlyMap<string, string>,
  changes: readonly ChangeWithContent[],
): Promise<{ stale: string[] }> {
  const files = new SystemFiles(system.root);
  const now = await inputsOf(await readSystemFacts(files), files);
  const made = new Map(changes.map(({ change }) => [change.path, change.after?.sha256]));
  const isSame = (name: string) =>
    now.get(name) === inputs.get(name) || (made.has(name) && now.get(name) === made.get(name));
  const stale = [...new Set([...inputs.keys(), ...now.keys()])].filter((name) => !isSame(name));
  for (const { change } of changes)
    if (!(await isReady(files, change)) && !stale.includes(change.path)) stale.push(change.path);
  if (stale.length > 0) return { stale: stale.sort() };
  for (const { change, content } of changes) {
    if (!change.after) await files.remove(change.path);
    else await files.write(change.path, contentOf(change, content), change.mode);
  }
  return { stale: [] };
}

/** Whether the file is as it was, or as it is to be. */
async function isReady(files: SystemFiles, { path, beforeSha256, after }: FileChange): Promise<boolean> {
  const location = await files.find(path);
  const isFile = location !== undefined && (await lstat(location)).isFile();
  const found = isFile ? await new FileHashes().of(location) : undefined;
  return found === beforeSha256 || found === after?.sha256;
}

function contentOf({ path, after }: FileChange, content: Buffer | undefined): Buffer {
  if (content && hash("sha256", content, "hex") === after?.sha256) return content;
  throw new Error(`the content of ${path} is not what its change says`);
}
