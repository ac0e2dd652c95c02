/** For tests: shows that something wrote nothing on a machine. */
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { RootedMachine } from "./fake-machine.ts";

/**
 * Runs it and fails if any file, folder or variable of the machine has changed, in content, time or mode. The
 * kernel's time of change also shows a write that puts everything back.
 */
export async function withoutWriting<T>(machine: RootedMachine, run: () => Promise<T>): Promise<T> {
  const before = everything(machine.root);
  const result = await run();
  expect(everything(machine.root)).toEqual(before);
  return result;
}

function everything(root: string): Record<string, string> {
  const names = readdirSync(root, { recursive: true }) as string[];
  return Object.fromEntries(
    ["", ...names].map((name) => {
      const path = join(root, name);
      const { mode, size, mtimeMs, ctimeMs } = lstatSync(path);
      const isSmallFile = lstatSync(path).isFile() && size < 2 ** 20;
      const content = isSmallFile ? createHash("sha256").update(readFileSync(path)).digest("hex") : "";
      return [name, [mode, size, mtimeMs, ctimeMs, content].join(" ")];
    }),
  );
}
