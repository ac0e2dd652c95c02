import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:fs";
import { copyFile, type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import { HypervisorFailedError, ToolMissingError } from "#shared/errors.ts";
import { hostRoom } from "../host-room.ts";
import { confined, thisStarter } from "./confinement.ts";
import { QEMU_PROGRAM, SANDBOX } from "./qemu-machine.ts";

const CONSOLE_FD = 3;
const PORT_FD = 4;
const KERNEL_FD = 5;
const RAM_DISK_FD = 6;
const FIRST_DISK_FD = 7;
const MIB = 2 ** 20;
/** QEMU's code, its threads' stacks and heaps, and the translated code, most of which is never used. */
const ADDRESS_SPACE_OVERHEAD_MIB = 2048;
/** What QEMU takes besides the guest's memory. */
const OVERHEAD_MIB = 384;
const KEPT_CHARACTERS = 4096;
/** QEMU writes no file. */
const MOST_FILE_BYTES = 4096;

export interface ReadingMachineOptions {
  /** Files of a boot image. */
  kernel: string;
  ramDisk: string;
  /** Called with a copy that no one else can change any more, before QEMU gets it. Rejects to refuse it. */
  verify: (file: "kernel" | "ramDisk", location: string) => Promise<void>;
  commandLine: string;
  memoryMiB: number;
  cpuCount: number;
  /** Names of the exports, one for each disk, in the order of the guest's SCSI targets. */
  disks: readonly string[];
  /** The name of the guest's port for `port`. */
  portName: string;
}

/**
 * A guest that is started from a boot image to read disks: no network, no display, no monitor, no file that
 * it could write. Its disks are network block devices without a network: QEMU is the client at the other end
 * of `disks`, and attaches them read-only. It is confined like the guest of a boot check, and ends with this
 * process.
 */
export class ReadingMachine {
  /** Resolves when QEMU has ended; never rejects. `cause` is text for people. */
  readonly ended: Promise<{ status: number | null; cause: string }>;
  /** The guest's port: what is written here, the guest reads, and the other way. */
  readonly port: Duplex;
  /** One stream for each disk, on which QEMU expects a server of network block devices. */
  readonly disks: readonly Duplex[];
  readonly #child: ChildProcess;
  #console = "";

  private constructor(child: ChildProcess, diskCount: number) {
    this.#child = child;
    this.port = child.stdio[PORT_FD] as Duplex;
    this.disks = Array.from({ length: diskCount }, (_, at) => child.stdio[FIRST_DISK_FD + at] as Duplex);
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
  static async start(options: ReadingMachineOptions): Promise<ReadingMachine> {
    await requireMemory(options.memoryMiB);
    const files: FileHandle[] = [];
    try {
      files.push(...(await passedFiles(options)));
      const bounds = {
        addressSpaceBytes: (options.memoryMiB + ADDRESS_SPACE_OVERHEAD_MIB) * MIB,
        fileBytes: MOST_FILE_BYTES,
      };
      const command = confined([QEMU_PROGRAM, ...machineArguments(options)], bounds, await thisStarter());
      const pipes = Array.from(options.disks, () => "pipe" as const);
      const child = spawn(command[0] as string, command.slice(1), {
        stdio: ["ignore", "ignore", "pipe", "pipe", "pipe", ...files.map(({ fd }) => fd), ...pipes],
        // Nothing of this process's environment, which may hold a token.
        env: { PATH: process.env.PATH, LC_ALL: "C" },
        cwd: "/",
      });
      return new ReadingMachine(child, options.disks.length);
    } finally {
      for (const file of files) await file.close();
    }
  }

  /** The last line that the console shows, for people; it is the guest's own text. */
  get lastLine(): string {
    const lines = this.#console.split(/[\r\n]+/).map((line) => line.replace(/[^\x20-\x7e]/g, "?").trim());
    return lines.findLast((line) => line !== "")?.slice(-200) ?? "";
  }

  /** Ends QEMU at once: nothing in it has to be kept. */
  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
    for (const stream of [this.port, ...this.disks]) stream.destroy();
  }
}

/** What QEMU's end means if it came before the guest said anything. */
export function startFailure({ status, cause }: { status: number | null; cause: string }): Error {
  if (status === 127) return new ToolMissingError(QEMU_PROGRAM, "qemu-system-x86");
  return new HypervisorFailedError(`QEMU does not start: ${cause}`);
}

async function requireMemory(memoryMiB: number): Promise<void> {
  const freeMiB = Math.floor((await hostRoom(tmpdir())).freeMemoryBytes / MIB);
  const neededMiB = memoryMiB + OVERHEAD_MIB;
  if (freeMiB < neededMiB)
    throw new HypervisorFailedError(`the guest needs ${neededMiB} MiB of memory; ${freeMiB} MiB are free`);
}

/**
 * Kernel and RAM disk as open copies without a name: they stay what they are now, and any user id can read
 * them.
 */
async function passedFiles({ kernel, ramDisk, verify }: ReadingMachineOptions): Promise<FileHandle[]> {
  const folder = await mkdtemp(join(tmpdir(), "causeway-browse-"));
  const files: FileHandle[] = [];
  try {
    for (const [name, path] of [["kernel", kernel] as const, ["ramDisk", ramDisk] as const]) {
      const copy = join(folder, name);
      await copyFile(path, copy, constants.COPYFILE_FICLONE);
      await verify(name, copy);
      const file = await open(copy, "r");
      files.push(file);
      await file.chmod(0o444);
    }
    return files;
  } catch (error) {
    for (const file of files) await file.close();
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function machineArguments({
  commandLine,
  memoryMiB,
  cpuCount,
  disks,
  portName,
}: ReadingMachineOptions): string[] {
  return [
    ...["-nodefaults", "-no-user-config", "-nic", "none", "-display", "none", "-sandbox", SANDBOX],
    // In software, like the guest of a boot check, and for the same reasons. The guest's restart is its end.
    ...["-machine", "q35", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max", "-no-reboot"],
    ...["-m", String(memoryMiB), "-smp", String(cpuCount)],
    ...["-kernel", `/proc/self/fd/${KERNEL_FD}`, "-initrd", `/proc/self/fd/${RAM_DISK_FD}`],
    ...["-append", commandLine],
    ...["-chardev", `socket,id=console,fd=${CONSOLE_FD}`, "-serial", "chardev:console"],
    ...["-chardev", `socket,id=port,fd=${PORT_FD}`, "-device", "virtio-serial-pci"],
    ...["-device", `virtserialport,chardev=port,name=${portName}`],
    ...["-device", "virtio-rng-pci", "-device", "virtio-scsi-pci,id=scsi"],
    ...disks.flatMap((name, at) => diskArguments(name, at)),
  ];
}

function diskArguments(name: string, at: number): string[] {
  const disk = {
    driver: "nbd",
    "node-name": `disk${at}`,
    "read-only": true,
    server: { type: "fd", str: String(FIRST_DISK_FD + at) },
    export: name,
  };
  return [
    ...["-blockdev", JSON.stringify(disk)],
    ...["-device", `scsi-hd,bus=scsi.0,channel=0,scsi-id=${at},lun=0,drive=disk${at},rerror=report`],
  ];
}
