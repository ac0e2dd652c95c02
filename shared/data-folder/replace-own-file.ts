import { closeSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Writes a file that only its owner can read. After any interruption it has the old content or the new one,
 * and once this returns the new one survives a power cut.
 */
export function replaceOwnFile(file: string, content: string): void {
  const draft = `${file}.new`;
  withOpen(draft, "w", (descriptor) => {
    writeSync(descriptor, content);
    fsyncSync(descriptor);
  });
  renameSync(draft, file);
  withOpen(dirname(file), "r", fsyncSync);
}

function withOpen(path: string, flags: "r" | "w", use: (descriptor: number) => void): void {
  const descriptor = openSync(path, flags, 0o600);
  try {
    use(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
