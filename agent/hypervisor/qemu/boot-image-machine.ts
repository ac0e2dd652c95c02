import { type ChildProcess, spawn } from "node:child_process";
import { constants, createReadStream, createWriteStream } from "node:fs";
import { copyFile, type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createZstdDecompress } from "node:zlib";
import { HypervisorFailedError, ToolMissingError } from "#shared/errors.ts";
import type { GuestDisk } from "../guest.ts";
import { allot, hostRoom } from "../host-room.ts";
import { confined, thisStarter } from "./confinement.ts";
import { formatOf, overlayNodes } from "./image-nodes.ts";
import { guestSizeBytes, PassedFiles } from "./passed-files.ts";
import { QEMU_PROGRAM, SANDBOX } from "./qemu-machine.ts";
import { resumeArguments } from "./resume-arguments.ts";

const CONSOLE_FD = 3;
const PORT_FD = 4;
const KERNEL_FD = 5;
const RAM_DISK_FD = 6;
const FIRST_PIPE_FD = 7;
/** Of what is attached; the guest looks for no other device. */
const DRIVERS = ["virtio_pci", "virtio_console", "virtio_rng", "sd_mod"];
/** What most disks need besides. A saved state has it: loading it takes a second under emulation. */
const SAVED_DRIVERS = ["dm_mod", "ext4", "xfs", "vfat"];
/** Waits for a word: with it, the guest finds its disks. */
const DISK_DRIVER = "virtio_scsi";
const MIB = 2 ** 20;
/** QEMU's code, its threads' stacks and heaps, and the translated code, most of which is never used. */
const ADDRESS_SPACE_OVERHEAD_MIB = 2048;
/** What QEMU takes besides the guest's memory. */
const OVERHEAD_MIB = 384;
const KEPT_CHARACTERS = 4096;
/** The longest file of a QEMU that writes none. */
const LEAST_FILE_BYTES = 4096;
/** The limit for each overlay. */
const OVERLAY_BYTES = 4096 * MIB;

/**
 * A disk of the guest: `served` over a stream, read-only, or an image file. What the guest changes of that is
 * kept in it, or discarded with an overlay that has no name.
 */
export type MachineDisk =
  | { kind: "served"; name: string }
  | (GuestDisk & { kind: "image"; changes: "kept" | "discarded" });

export interface BootImageMachineOptions {
  /** Files of a boot image. A kernel that is called `.zst` is unpacked first. */
  kernel: string;
  ramDisk: string;
  /** Called with a copy that no one else can change any more, before QEMU gets it. Rejects to refuse it. */
  verify: (file: "kernel" | "ramDisk", location: string) => Promise<void>;
  commandLine: string;
  memoryMiB: number;
  cpuCount: number;
  /** In the order of the guest's SCSI targets. */
  disks: readonly MachineDisk[];
  /** Where files without a name are made. */
  workDir: string;
  /** The name of the guest's port for `port`. */
  portName: string;
  /** `saved`: its state can be saved with `monitor`. Or a saved state, which it resumes from. */
  state?: "saved" | SavedState | undefined;
}

export interface SavedState {
  /** Open, at its beginning. */
  file: FileHandle;
  /** What the QEMU that resumes from it prints for `--version`. */
  qemu: string;
}

/**
 * A guest that is started from a boot image to work on disks: no network, no display, no monitor, no file of
 * this machine but the images that it may write. Served disks are network block devices without a network:
 * QEMU is the client at the other end of `streams`. It is confined like the guest of a boot check, and ends
 * with this process.
 */
export class BootImageMachine {
  /** Resolves when QEMU has ended; never rejects. `cause` is text for people. */
  readonly ended: Promise<{ status: number | null; cause: string }>;
  /** The guest's port: what is written here, the guest reads, and the other way. */
  readonly port: Duplex;
  /** One stream for each served disk, on which QEMU expects a server of network block devices. */
  readonly streams: readonly Duplex[];
  /** Of a machine whose state is saved: QEMU's monitor. */
  readonly monitor: Duplex | undefined;
  readonly #child: ChildProcess;
  #console = "";

  private constructor(child: ChildProcess, streamCount: number) {
    this.#child = child;
    this.port = child.stdio[PORT_FD] as Duplex;
    const pipes = child.stdio.slice(FIRST_PIPE_FD) as Duplex[];
    this.streams = pipes.slice(0, streamCount);
    this.monitor = pipes[streamCount];
    const console = child.stdio[CONSOLE_FD] as Duplex;
    console.setEncoding("latin1").on("data", (text: string) => {
      this.#console = (this.#console + text).slice(-KEPT_CHARACTERS);
    });
    // The end of QEMU resets the connections; `ended` has the reason.
    for (const stream of [console, this.port]) stream.on("error", () => undefined);
    let errors = "";
    (child.stderr as Readable).setEncoding("utf8").on("data", (text: string) => {
      errors = (errors + text).slice(-KEPT_CHARACTERS);
    });
    this.ended = new Promise((resolve) => {
      child.once("error", (error) => resolve({ status: null, cause: error.message }));
      child.once("exit", (status, signal) => {
        const silent = signal ? `signal ${signal}` : `status ${status}`;
        resolve({ status, cause: errors.trim().split("\n").at(-1) || silent });
      });
    });
  }

  /**
   * Throws `ToolMissingError` if QEMU is not installed, `HypervisorFailedError` if this machine has no memory
   * for the guest.
   */
  static async start(options: BootImageMachineOptions): Promise<BootImageMachine> {
    const { length: served } = options.disks.filter(({ kind }) => kind === "served");
    const pipes = Array.from({ length: served + (options.state === "saved" ? 1 : 0) }, () => "pipe" as const);
    const states = isResumed(options.state) ? [options.state.file.fd] : [];
    const folder = await mkdtemp(join(options.workDir, "causeway-guest-"));
    const boot: FileHandle[] = [];
    const images = new PassedFiles(folder, FIRST_PIPE_FD + pipes.length + states.length);
    try {
      const fileBytes = await mostFileBytes(options);
      boot.push(...(await passedFiles(options, folder)));
      const disks = await diskArguments(options.disks, images);
      const bounds = {
        addressSpaceBytes: (options.memoryMiB + ADDRESS_SPACE_OVERHEAD_MIB) * MIB,
        fileBytes,
      };
      const args = [
        ...machineArguments(options),
        ...stateArguments(options.state, FIRST_PIPE_FD + served),
        ...images.args,
        ...disks,
      ];
      const command = confined([QEMU_PROGRAM, ...args], bounds, await thisStarter());
      const child = spawn(command[0] as string, command.slice(1), {
        stdio: [
          ...(["ignore", "ignore", "pipe", "pipe", "pipe"] as const),
          boot[0]?.fd ?? "ignore",
          boot[1]?.fd ?? "ignore",
          ...pipes,
          ...states,
          ...images.fds,
        ],
        // Nothing of this process's environment, which may hold a token.
        env: { PATH: process.env.PATH, LC_ALL: "C" },
        cwd: "/",
      });
      return new BootImageMachine(child, served);
    } finally {
      for (const file of boot) await file.close();
      await images.close();
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** The last line that the console shows, for people; it is the guest's own text. */
  get lastLine(): string {
    const lines = this.#console.split(/[\r\n]+/).map((line) => line.replace(/[^\x20-\x7e]/g, "?").trim());
    return lines.findLast((line) => line !== "")?.slice(-200) ?? "";
  }

  /** Ends QEMU at once: what it has not written to an image is lost. */
  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
    for (const stream of [this.port, ...this.streams, this.monitor]) stream?.destroy();
  }
}

function isResumed(state: BootImageMachineOptions["state"]): state is SavedState {
  return state !== undefined && state !== "saved";
}

/** What QEMU's end means if it came before the guest said anything. */
export function startFailure({ status, cause }: { status: number | null; cause: string }): Error {
  if (status === 127) return new ToolMissingError(QEMU_PROGRAM, "qemu-system-x86");
  return new HypervisorFailedError(`QEMU does not start: ${cause}`);
}

/** The length that no file may exceed. Throws `HypervisorFailedError` if this machine has no room. */
async function mostFileBytes({ memoryMiB, disks, workDir }: BootImageMachineOptions): Promise<number> {
  const room = await hostRoom(workDir);
  const images = disks.filter((disk) => disk.kind === "image");
  const written = images.filter(({ changes }) => changes === "kept");
  const wanted = { memoryMiB, disks: images.length - written.length, overlayBytes: OVERLAY_BYTES };
  const share = allot(room, wanted, { name: "QEMU", overheadMiB: OVERHEAD_MIB });
  if ("lacking" in share) throw new HypervisorFailedError(share.lacking);
  const lengths = await Promise.all(written.map(longestBytes));
  return Math.max(LEAST_FILE_BYTES, share.overlayBytes, ...lengths);
}

/** What an image can grow to: all of its blocks, and for qcow2 the tables that say where they are. */
async function longestBytes(image: GuestDisk): Promise<number> {
  return Math.ceil((await guestSizeBytes(image)) * 1.02) + 64 * MIB;
}

/**
 * Kernel and RAM disk as open copies without a name: they stay what they are now, and any user id can read
 * them. A guest that resumes has its RAM disk in its memory; QEMU still wants the kernel.
 */
async function passedFiles(
  { kernel, ramDisk, verify, state }: BootImageMachineOptions,
  folder: string,
): Promise<FileHandle[]> {
  const files: FileHandle[] = [];
  const pass = async (name: "kernel" | "ramDisk", path: string) => {
    const copy = join(folder, name);
    await copyFile(path, copy, constants.COPYFILE_FICLONE);
    await verify(name, copy);
    const file = await open(name === "kernel" && path.endsWith(".zst") ? await unpacked(copy) : copy, "r");
    files.push(file);
    await file.chmod(0o444);
  };
  try {
    await pass("kernel", kernel);
    if (!isResumed(state)) await pass("ramDisk", ramDisk);
    return files;
  } catch (error) {
    for (const file of files) await file.close();
    throw error;
  }
}

async function unpacked(copy: string): Promise<string> {
  const path = `${copy}-unpacked`;
  const unpack = createZstdDecompress({ chunkSize: MIB });
  await pipeline(createReadStream(copy, { highWaterMark: MIB }), unpack, createWriteStream(path));
  return path;
}

/** What QEMU gets besides disks and state. Machines that differ in this cannot have the same saved state. */
export function machineArguments(
  options: Pick<BootImageMachineOptions, "commandLine" | "memoryMiB" | "cpuCount" | "portName" | "state">,
): string[] {
  const { memoryMiB, cpuCount, portName } = options;
  return [
    ...["-nodefaults", "-no-user-config", "-nic", "none", "-display", "none", "-sandbox", SANDBOX],
    // In software, like the guest of a boot check, and for the same reasons. The guest's restart is its end.
    ...["-machine", "q35", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max", "-no-reboot"],
    ...["-m", String(memoryMiB), "-smp", String(cpuCount)],
    ...["-kernel", `/proc/self/fd/${KERNEL_FD}`],
    ...(isResumed(options.state) ? [] : ["-initrd", `/proc/self/fd/${RAM_DISK_FD}`]),
    ...["-append", kernelParameters(options)],
    ...["-chardev", `socket,id=console,fd=${CONSOLE_FD}`, "-serial", "chardev:console"],
    ...["-chardev", `socket,id=port,fd=${PORT_FD}`, "-device", "virtio-serial-pci"],
    ...["-device", `virtserialport,chardev=port,name=${portName}`],
    ...["-device", "virtio-rng-pci", "-device", "virtio-scsi-pci,id=scsi"],
    // A guest that is resumed, and may be one of several, learns of it and draws new random numbers.
    ...["-device", "vmgenid,guid=auto"],
  ];
}

function kernelParameters({
  commandLine,
  state,
}: Pick<BootImageMachineOptions, "commandLine" | "state">): string {
  const drivers = state ? [...DRIVERS, ...SAVED_DRIVERS] : DRIVERS;
  return `${commandLine} causeway.drivers=${drivers} causeway.disk-drivers=${DISK_DRIVER}`;
}

function stateArguments(state: BootImageMachineOptions["state"], fd: number): string[] {
  if (state === undefined) return [];
  if (isResumed(state)) return resumeArguments(fd, state.qemu);
  return ["-chardev", `socket,id=monitor,fd=${fd}`, "-mon", "chardev=monitor,mode=control"];
}

async function diskArguments(disks: readonly MachineDisk[], files: PassedFiles): Promise<string[]> {
  const args: string[] = [];
  let streams = 0;
  for (const [at, disk] of disks.entries()) {
    const nodes =
      disk.kind === "served"
        ? [servedNode(disk.name, FIRST_PIPE_FD + streams++)]
        : await imageNodes(disk, at, files);
    for (const node of nodes) args.push("-blockdev", JSON.stringify({ "node-name": `disk${at}`, ...node }));
    const place = `bus=scsi.0,channel=0,scsi-id=${at},lun=0`;
    args.push("-device", `scsi-hd,${place},drive=disk${at},rerror=report,werror=report`);
  }
  return args;
}

function servedNode(name: string, fd: number): object {
  return { driver: "nbd", "read-only": true, server: { type: "fd", str: String(fd) }, export: name };
}

/** The nodes of an image, the one that the guest sees last. */
async function imageNodes(
  disk: Extract<MachineDisk, { kind: "image" }>,
  at: number,
  files: PassedFiles,
): Promise<object[]> {
  if (disk.changes === "discarded") return overlayNodes(disk, at, files);
  const file = { driver: "file", filename: await files.write(disk.path) };
  return [{ ...formatOf(disk), discard: "unmap", file }];
}
