import { type ChildProcess, spawn } from "node:child_process";
import type { FileHandle } from "node:fs/promises";
import type { Duplex, Readable } from "node:stream";
import { HypervisorFailedError, ToolMissingError } from "#shared/errors.ts";
import { markerString } from "../../machine/machine-marker.ts";
import type { Guest, GuestDisk, GuestEvent, GuestOptions } from "../guest.ts";
import { confined, thisStarter } from "./confinement.ts";
import { overlayNodes } from "./image-nodes.ts";
import { PassedFiles } from "./passed-files.ts";
import { QmpClient, type QmpEvent } from "./qmp.ts";
import { findUefiFirmware } from "./uefi-firmware.ts";

export const QEMU_PROGRAM = "qemu-system-x86_64";

const MONITOR_FD = 3;
const CONSOLE_FD = 4;
const FIRST_FILE_FD = 5;
const START_LIMIT_MS = 60_000;
const SCREENSHOT_LIMIT_MS = 15_000;
const EXIT_GRACE_MS = 3000;
const KEPT_ERROR_CHARACTERS = 4096;
const MIB = 2 ** 20;
/** For translated guest code. */
const TRANSLATED_MIB = 256;
/** QEMU's code, its threads' stacks and heaps, and the translated code, most of which is never used. */
const ADDRESS_SPACE_OVERHEAD_MIB = 2048;
/** Larger than a picture of the largest screen that QEMU's VGA shows. */
const MAX_SCREENSHOT_BYTES = 16 * MIB;
/** An overlay is full if the next cluster and its table no longer fit. */
const FULL_WITHIN_BYTES = MIB;

export const SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/**
 * A running QEMU: no network, no display, disks never written. It runs confined (`confined`), and gets all
 * its files as open descriptors. It dies with this process, even if that is killed.
 */
export class QemuMachine implements Guest {
  /** Resolves when QEMU has ended; never rejects. `cause` is text for people. */
  readonly ended: Promise<{ status: number | null; cause: string }>;
  readonly #monitor: QmpClient;
  readonly #child: ChildProcess;
  readonly #files: PassedFiles;
  readonly #screenshot: { name: string; file: FileHandle };
  readonly #overlayBytes: number;

  private constructor(child: ChildProcess, plan: MachinePlan, options: GuestOptions) {
    this.#child = child;
    this.#files = plan.files;
    this.#screenshot = plan.screenshot;
    this.#overlayBytes = options.overlayBytes;
    this.#monitor = new QmpClient(child.stdio[MONITOR_FD] as Duplex, (event) => {
      const known = guestEvent(event);
      if (known) options.onEvent(known);
    });
    const console = child.stdio[CONSOLE_FD] as Duplex;
    console.setEncoding("latin1");
    console.on("data", options.onConsole);
    // The end of QEMU resets the connection; `ended` has the reason.
    console.on("error", () => undefined);
    let errors = "";
    (child.stderr as Readable).setEncoding("utf8").on("data", (text: string) => {
      errors = (errors + text).slice(-KEPT_ERROR_CHARACTERS);
    });
    this.ended = new Promise((resolve) => {
      child.once("error", (error) => resolve({ status: null, cause: error.message }));
      child.once("close", (status, signal) => {
        const silent = signal ? `signal ${signal}` : `status ${status}, without a message`;
        resolve({ status, cause: errors.trim() || silent });
      });
    });
  }

  /**
   * Throws `ToolMissingError` if QEMU or the firmware is not installed, `HypervisorFailedError` if QEMU does
   * not start.
   */
  static async start(options: GuestOptions): Promise<QemuMachine> {
    const files = new PassedFiles(options.workDir, FIRST_FILE_FD);
    try {
      const plan = await planMachine(options, files);
      const machine = new QemuMachine(await launch(plan, options), plan, options);
      await machine.#ready();
      return machine;
    } catch (error) {
      await files.close();
      throw error;
    }
  }

  /** Whether the guest has written as much as it may to one of its disks. */
  async isOverlayFull(): Promise<boolean> {
    return (await this.#files.longestOverlayBytes()) > this.#overlayBytes - FULL_WITHIN_BYTES;
  }

  /** The screen as PNG, once. Throws if QEMU shows none, or returns more than a screen can be. */
  async takeScreenshot(): Promise<Buffer> {
    const { name, file } = this.#screenshot;
    await this.#monitor.execute("screendump", { filename: name, format: "png" }, SCREENSHOT_LIMIT_MS);
    const { size } = await file.stat();
    if (size > MAX_SCREENSHOT_BYTES) throw new RangeError(`a screenshot of ${size} bytes`);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(size), 0, size, 0);
    return buffer.subarray(0, bytesRead);
  }

  /** Resolves when QEMU accepts commands. Ends QEMU and throws if it is not ready in time. */
  async #ready(): Promise<void> {
    const failed = this.ended.then(({ status, cause }) => {
      if (status === 127) throw new ToolMissingError(QEMU_PROGRAM, "qemu-system-x86");
      throw new HypervisorFailedError(`QEMU does not start: ${cause}`);
    });
    // After the start, only callers that await `ended` need to know that QEMU ended.
    failed.catch(() => undefined);
    const connected = this.#monitor.connect(START_LIMIT_MS).catch(() => {
      this.#kill();
      return failed;
    });
    await Promise.race([connected, failed]);
  }

  /** Ends QEMU; kills it if it does not end within a few seconds. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.#kill(), EXIT_GRACE_MS);
    this.#monitor.execute("quit").catch(() => this.#kill());
    await this.ended;
    clearTimeout(timer);
    await this.#files.close();
  }

  #kill(): void {
    this.#child.kill("SIGKILL");
  }
}

/** What the monitor's event means for the guest; `undefined` for events that do not matter. */
function guestEvent({ event, data }: QmpEvent): GuestEvent | undefined {
  if (event === "RESET") return { kind: "restarted" };
  if (event === "SHUTDOWN") return { kind: "powered-off" };
  return event === "BLOCK_IO_ERROR" ? { kind: "disk-error", noSpace: data.nospace === true } : undefined;
}

interface MachinePlan {
  args: string[];
  files: PassedFiles;
  screenshot: { name: string; file: FileHandle };
}

async function launch(plan: MachinePlan, options: GuestOptions): Promise<ChildProcess> {
  const bounds = {
    addressSpaceBytes: (options.memoryMiB + ADDRESS_SPACE_OVERHEAD_MIB) * MIB,
    fileBytes: options.overlayBytes,
  };
  const command = confined([QEMU_PROGRAM, ...plan.args], bounds, await thisStarter());
  return spawn(command[0] as string, command.slice(1), {
    stdio: ["ignore", "ignore", "pipe", "pipe", "pipe", ...plan.files.fds],
    // Nothing of the agent's environment, which may hold a token.
    env: { PATH: process.env.PATH, LC_ALL: "C" },
    cwd: "/",
  });
}

async function planMachine(options: GuestOptions, files: PassedFiles): Promise<MachinePlan> {
  const { firmware } = options;
  const screenshot = await files.output();
  const devices = [
    ...(firmware === "uefi" ? await firmwareArguments(files) : []),
    ...(await diskArguments(options.disks, files)),
  ];
  const args = [
    ...["-nodefaults", "-no-user-config", "-nic", "none", "-display", "none", "-sandbox", SANDBOX],
    // Without "graphics" SeaBIOS copies its screen, and so a BIOS boot loader's, to the serial console.
    ...["-machine", firmware === "bios" ? "q35,graphics=off" : "q35"],
    // In software: on some hosts KVM opens but no guest runs, or hangs with what it held.
    ...["-accel", `tcg,thread=multi,tb-size=${TRANSLATED_MIB}`, "-cpu", "max"],
    ...["-m", String(options.memoryMiB), "-smp", String(options.cpuCount)],
    ...["-smbios", `type=11,value=${markerString(options.ownerId)}`],
    ...["-device", "VGA", "-device", "virtio-rng-pci"],
    ...["-chardev", `socket,id=monitor,fd=${MONITOR_FD}`, "-mon", "chardev=monitor,mode=control"],
    ...["-chardev", `socket,id=console,fd=${CONSOLE_FD}`, "-serial", "chardev:console"],
    ...files.args,
    ...devices,
  ];
  return { args, files, screenshot };
}

async function firmwareArguments(files: PassedFiles): Promise<string[]> {
  const { code, variables } = await findUefiFirmware();
  return [
    ...["-drive", `if=pflash,format=raw,unit=0,readonly=on,file=${await files.read(code)}`],
    ...["-drive", `if=pflash,format=raw,unit=1,file=${await files.copy(variables)}`],
  ];
}

async function diskArguments(disks: readonly GuestDisk[], files: PassedFiles): Promise<string[]> {
  const args: string[] = [];
  for (const [index, disk] of disks.entries()) {
    const [base, overlay] = await overlayNodes(disk, index, files);
    args.push("-blockdev", JSON.stringify(base));
    args.push("-blockdev", JSON.stringify({ ...overlay, discard: "unmap" }));
    // SATA: the controller that nearly every system has a driver for. The guest pauses at a failed write.
    const device = `ide-hd,bus=ide.${index},drive=disk${index},bootindex=${index},werror=stop`;
    args.push("-device", device);
  }
  return args;
}
