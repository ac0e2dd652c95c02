import { closeSync } from "node:fs";
import type { SeenFile } from "../messages.ts";
import { openRegular, readFileFacts } from "../read-file.ts";

const MISSING = ["ENOENT", "ENOTDIR", "ELOOP"];

/** The file at a path of a mounted file system, or why there is none to compare. Never rejects. */
export function seenFile(root: number, path: Buffer): SeenFile {
  try {
    const file = openRegular(root, path, { noAccessTime: false });
    if (!file) return { problem: "no-file" };
    try {
      return readFileFacts(file, () => true) ?? { problem: "unreadable" };
    } finally {
      closeSync(file.fd);
    }
  } catch (error) {
    const isMissing = MISSING.includes((error as NodeJS.ErrnoException).code ?? "");
    return { problem: isMissing ? "missing" : "unreadable" };
  }
}
