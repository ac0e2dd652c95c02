import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openColdSite } from "../machines/cold-site.ts";
import { run } from "../machines/disk/command.ts";
import { createSparse } from "../machines/disk/debian-disk.ts";
import { signedImage, writeImage } from "../testing/signed-image.ts";

let dir: string;
let bootImage: { path: string; publicKey: string };

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "causeway-cold-site-"));
  const path = join(dir, "boot-image");
  bootImage = { path, publicKey: await writeImage(signedImage("kernel"), path) };
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** The command lines of processes that use this test's folder. */
function processes(): string[] {
  return globSync("/proc/[0-9]*/cmdline").flatMap((path) => {
    try {
      const words = readFileSync(path, "utf8");
      return words.includes(dir) ? [words.replaceAll("\0", " ")] : [];
    } catch {
      // It has ended.
      return [];
    }
  });
}

async function disk(sizeBytes: number): Promise<string> {
  const path = join(dir, "original.raw");
  await createSparse(path, sizeBytes);
  return path;
}

function openSite(path: string, running: string[][]): Promise<unknown> {
  return openColdSite({
    dir: join(dir, "site"),
    firmware: "bios",
    original: { paths: [path], fileSystems: [{ disk: 0, offsetBytes: 0, type: "ext4", mountPoint: "/" }] },
    bootImage,
    connectLimitMs: 1,
    log: () => running.push(processes()),
  });
}

test("a site whose agent cannot be installed stops the control plane that it started", async () => {
  const running: string[][] = [];
  await expect(openSite(await disk(2 ** 20), running)).rejects.toThrow(/debugfs|could not be added/);
  expect(running.flat().join("\n")).toContain("main.ts up");
  expect(processes()).toEqual([]);
});

test("a site whose machine does not connect switches it off, and stops control plane and target host", async () => {
  const path = await disk(2 ** 28);
  await run("mke2fs", ["-q", "-F", "-t", "ext4", path]);
  await expect(openSite(path, [])).rejects.toThrow(/no source server is connected/);
  expect(processes()).toEqual([]);
});
