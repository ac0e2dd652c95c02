/** For tests: images that a driver outside of the kernel mounts. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile } from "node:fs/promises";
import { expect } from "vitest";
import { tool } from "./test-image.ts";

const MOUNT_LIMIT_MS = 10_000;

/**
 * Works in a folder where a driver mounts an image. The driver stays in the foreground: only when it ends is
 * everything written. `commandFor`: the program that stays, and its arguments.
 */
export async function whileMounted(
  image: string,
  commandFor: (folder: string) => [program: string, ...args: string[]],
  work: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = `${image}.mnt`;
  await mkdir(folder, { recursive: true });
  const [program, ...args] = commandFor(folder);
  const driver = spawn(program, args, { stdio: "ignore" });
  const ended = once(driver, "exit");
  try {
    await expect.poll(() => readFile("/proc/mounts", "utf8"), { timeout: MOUNT_LIMIT_MS }).toContain(folder);
    await work(folder);
  } finally {
    tool("umount", folder);
    await ended;
  }
}
