import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { FolderFileDamagedError, FolderTooNewError } from "./errors.ts";
import { replaceOwnFile } from "./replace-own-file.ts";

const VERSION = /^(\d+)\.(\d+)\.(\d+)$/;
const Record = z.object({ writtenBy: z.string().regex(VERSION) });

/**
 * Records in a locked folder the version of the program that uses it. Throws `FolderTooNewError` if a newer
 * version has used it, and `FolderFileDamagedError` if the record cannot be read. The folder is then
 * unchanged.
 */
export function recordVersion(folder: string, version: string): void {
  const file = join(folder, "version.json");
  const before = existsSync(file) ? readRecord(file) : undefined;
  if (before !== undefined && isNewer(before, version)) throw new FolderTooNewError(folder, before, version);
  if (before !== version) replaceOwnFile(file, `${JSON.stringify({ writtenBy: version })}\n`);
}

function readRecord(file: string): string {
  try {
    return Record.parse(JSON.parse(readFileSync(file, "utf8"))).writtenBy;
  } catch {
    throw new FolderFileDamagedError(
      file,
      "a record of the version that wrote the folder",
      'Restore it from a backup, or write {"writtenBy":"VERSION"} with the version that last ran on this folder.',
    );
  }
}

function isNewer(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => VERSION.exec(text)?.slice(1).map(Number) ?? []);
  for (const [index, part] of (a ?? []).entries()) {
    const other = b?.[index] ?? 0;
    if (part !== other) return part > other;
  }
  return false;
}
