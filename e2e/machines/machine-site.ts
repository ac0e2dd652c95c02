/** A real machine with the agent, a control plane and a target host, for the demos and the machine tests. */
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { version } from "#cli/version.ts";
import type { Conversion } from "#shared/protocol/resources.ts";
import { Installation } from "../site/installation.ts";
import { copyDisk } from "./disk/copy-disk.ts";
import { buildDebianDisk, type DebianDiskOptions } from "./disk/debian-disk.ts";
import {
  HOST_FROM_GUEST,
  type InstallOptions,
  installAgent,
  type MachineOptions,
  SourceMachine,
} from "./source-machine.ts";

const DISK_BYTES = 2 * 1024 ** 3;

const SLOW_MACHINE_MS = 300_000;

export const cacheDir: string = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "causeway");

export interface MachineSiteOptions {
  dir: string;
  firmware: "bios" | "uefi";
  log: (line: string) => void;
  /** The machine. If absent, a Debian on one disk, as its installer would set it up. */
  original?: OriginalDisks;
  /** A TCP port of the machine that clients on this computer reach at `host`. */
  forward?: MachineOptions["forward"];
  tap?: MachineOptions["tap"];
  fenceServices?: readonly string[];
  /** Whether the agent can follow the writes to disks in use. True if absent. */
  withTracker?: boolean;
  target?: TargetHost;
  /** How long the machine may take until its agent is connected. Five minutes if absent. */
  connectLimitMs?: number;
}

export interface TargetHost {
  /** The folder of a boot image, in which it adapts systems. */
  bootImage: string;
  /** The words that have a command run on it. This computer is the target host if absent. */
  enter?: readonly string[];
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
 * A running control plane, a target host, and a real machine whose agent is installed and connected.
 * Disposing of it switches the machine off and stops every process, but keeps the files.
 */
export interface MachineSite extends AsyncDisposable {
  installation: Installation;
  machine: SourceMachine;
  /** The machine's disks. */
  disks: readonly string[];
  fileSystems: readonly FileSystem[];
  sourceId: string;
  targetId: string;
}

/**
 * Starts everything, and calls `prepare` once the control plane is up. If that fails, it stops whatever it
 * started.
 */
export async function openMachineSite(
  options: MachineSiteOptions,
  prepare: (installation: Installation) => Promise<void> = async () => {},
): Promise<MachineSite> {
  const { dir, firmware, log, forward, tap, connectLimitMs = SLOW_MACHINE_MS } = options;
  const { withTracker = true, fenceServices = [] } = options;
  const { paths, fileSystems } = options.original ?? (await debianMachine({ firmware, log }));
  await mkdir(dir, { recursive: true });
  const disks = paths.map((_, index) => join(dir, `source-${index}.raw`));
  for (const [index, path] of paths.entries()) {
    await copyDisk(path, disks[index] ?? "");
  }
  await using opened = new AsyncDisposableStack();
  const installation = opened.adopt(new Installation(dir), (each) => each.stop());
  await installation.up();
  await prepare(installation);
  const rootOffsetBytes = fileSystems.find(({ mountPoint }) => mountPoint === "/")?.offsetBytes ?? 0;
  await installSourceAgent(installation, {
    ...{ image: disks[0] ?? "", rootOffsetBytes, withTracker, fenceServices },
  });
  const cards = { ...(forward ? { forward } : {}), ...(tap === undefined ? {} : { tap }) };
  const machine = new SourceMachine({ disks, firmware, workDir: join(dir, "machine"), ...cards });
  opened.adopt(machine, (each) => each.cutPower());
  log("switching the source machine on");
  await machine.powerOn();
  const { bootImage, enter } = options.target ?? {};
  const adapts = bootImage === undefined ? [] : ["--boot-image", bootImage];
  await installation.enrol("target", "target", ["--images", join(dir, "images"), ...adapts], enter);
  const sourceId = (await installation.source(connectLimitMs)).id;
  const targetId = (await installation.target()).id;
  const running = opened.move();
  const stop = () => running.disposeAsync();
  return { installation, machine, disks, fileSystems, sourceId, targetId, [Symbol.asyncDispose]: stop };
}

async function installSourceAgent(
  installation: Installation,
  disk: Pick<InstallOptions, "image" | "rootOffsetBytes" | "withTracker" | "fenceServices">,
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

/** Waits until `reached` accepts the conversion. Rejects with its state if that takes too long. */
export async function untilConversion(
  { installation }: MachineSite,
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
