import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:fs";
import { access, copyFile } from "node:fs/promises";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import { QemuFailedError, ToolMissingError } from "#shared/errors.ts";
import { QmpClient, type QmpEvent } from "./qmp.ts";

export interface MachineDisk {
  path: string;
  format: "raw" | "qcow2";
}

export interface MachineOptions {
  /**
   * In the order in which the firmware tries them; a BIOS tries only the first. Opened read-only under a
   * throw-away overlay.
   */
  disks: readonly MachineDisk[];
  firmware: "bios" | "uefi";
  memoryMiB: number;
  cpuCount: number;
  /** Holds overlay, firmware variables and console log. */
  workDir: string;
  consoleLogPath: string;
  onEvent: (event: QmpEvent) => void;
  onConsole: (text: string) => void;
}

/**
 * Where distributions keep the UEFI firmware for virtual machines: code, and the template of its variables.
 */
const UEFI_FIRMWARE: readonly { code: string; variables: string }[] = [
  { code: "/usr/share/OVMF/OVMF_CODE_4M.fd", variables: "/usr/share/OVMF/OVMF_VARS_4M.fd" },
  { code: "/usr/share/OVMF/OVMF_CODE.fd", variables: "/usr/share/OVMF/OVMF_VARS.fd" },
  { code: "/usr/share/edk2/ovmf/OVMF_CODE.fd", variables: "/usr/share/edk2/ovmf/OVMF_VARS.fd" },
  { code: "/usr/share/edk2/x64/OVMF_CODE.4m.fd", variables: "/usr/share/edk2/x64/OVMF_VARS.4m.fd" },
];

const MONITOR_FD = 3;
const CONSOLE_FD = 4;
const EXIT_GRACE_MS = 3000;

/**
 * A running QEMU: no network, no display, disks never written. It dies with this process, even if that is
 * killed.
 */
export class QemuMachine {
  readonly monitor: QmpClient;
  /** Settles when QEMU has ended; never rejects. */
  readonly ended: Promise<{ status: number | null; errors: string }>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, options: MachineOptions) {
    this.#child = child;
    this.monitor = new QmpClient(child.stdio[MONITOR_FD] as Duplex, options.onEvent);
    const console = child.stdio[CONSOLE_FD] as Duplex;
    console.setEncoding("latin1");
    console.on("data", options.onConsole);
    // The end of QEMU resets the connection; `ended` tells why it ended.
    console.on("error", () => undefined);
    let errors = "";
    (child.stderr as Readable).setEncoding("utf8").on("data", (text: string) => {
      errors = (errors + text).slice(-4096);
    });
    this.ended = new Promise((resolve) => {
      child.once("error", (error) => resolve({ status: null, errors: error.message }));
      child.once("close", (status) => resolve({ status, errors }));
    });
  }

  /**
   * Throws `ToolMissingError` where QEMU or the firmware is not installed, `QemuFailedError` where QEMU does
   * not start.
   */
  static async start(options: MachineOptions): Promise<QemuMachine> {
    const args = await machineArguments(options);
    const child = spawn(
      "setpriv",
      ["--pdeathsig", "KILL", "env", `TMPDIR=${options.workDir}`, "qemu-system-x86_64", ...args],
      { stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] },
    );
    const machine = new QemuMachine(child, options);
    const failed = machine.ended.then(({ status, errors }) => {
      if (status === 127) throw new ToolMissingError("qemu-system-x86_64", "qemu-system-x86");
      throw new QemuFailedError(errors.trim() || `QEMU ended with ${status}`);
    });
    await Promise.race([machine.monitor.connect().catch(() => failed), failed]);
    // From here on the end of QEMU is for whoever awaits `ended`.
    failed.catch(() => undefined);
    return machine;
  }

  /** Ends QEMU, at once if it does not end by itself within a few seconds. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.kill(), EXIT_GRACE_MS);
    this.monitor.execute("quit").catch(() => this.kill());
    await this.ended;
    clearTimeout(timer);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

async function machineArguments(options: MachineOptions): Promise<string[]> {
  const { firmware, consoleLogPath } = options;
  const args = [
    ...["-nodefaults", "-no-user-config", "-nic", "none", "-display", "none"],
    // Without "graphics" SeaBIOS copies its screen, and so a BIOS boot loader's, to the serial console.
    ...["-machine", firmware === "bios" ? "q35,graphics=off" : "q35"],
    // In software: there are hosts where KVM opens and no guest runs, or hangs with what it held.
    ...["-accel", "tcg,thread=multi", "-cpu", "max"],
    ...["-m", String(options.memoryMiB), "-smp", String(options.cpuCount)],
    ...["-device", "VGA", "-device", "virtio-rng-pci"],
    ...["-chardev", `socket,id=monitor,fd=${MONITOR_FD}`, "-mon", "chardev=monitor,mode=control"],
    ...["-chardev", `socket,id=console,fd=${CONSOLE_FD},logfile=${escaped(consoleLogPath)}`],
    ...["-serial", "chardev:console"],
  ];
  if (firmware === "uefi") {
    const uefi = await findUefiFirmware();
    const variables = join(options.workDir, "uefi-variables.fd");
    await copyFile(uefi.variables, variables);
    args.push(
      ...["-drive", `if=pflash,format=raw,unit=0,readonly=on,file=${escaped(uefi.code)}`],
      ...["-drive", `if=pflash,format=raw,unit=1,file=${escaped(variables)}`],
    );
  }
  for (const [index, disk] of options.disks.entries()) {
    const drive = `if=none,id=disk${index},format=${disk.format},snapshot=on,cache=unsafe,discard=unmap`;
    // SATA: the controller that nearly every system has a driver for.
    args.push("-drive", `${drive},file=${escaped(disk.path)}`);
    args.push("-device", `ide-hd,bus=ide.${index},drive=disk${index},bootindex=${index}`);
  }
  return args;
}

/** Whether this host can run UEFI guests, and with which files; throws `ToolMissingError` otherwise. */
export async function findUefiFirmware(): Promise<{ code: string; variables: string }> {
  for (const candidate of UEFI_FIRMWARE) {
    if ((await isReadable(candidate.code)) && (await isReadable(candidate.variables))) return candidate;
  }
  throw new ToolMissingError("UEFI firmware for virtual machines", "ovmf");
}

async function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}

/** QEMU's option syntax doubles a comma inside a value. */
function escaped(path: string): string {
  return path.replaceAll(",", ",,");
}
