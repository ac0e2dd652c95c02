import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { startableFirst } from "./boot-disk.ts";
import { type BootStage, GuestConsole } from "./guest-console.ts";
import { type MachineDisk, QemuMachine } from "./qemu-machine.ts";
import type { QmpEvent } from "./qmp.ts";

export interface BootCheckOptions {
  /** Booted is the first one that the firmware can start. Read, never written. */
  disks: readonly MachineDisk[];
  firmware: "bios" | "uefi";
  memoryMiB: number;
  timeoutSeconds: number;
  /** A text on the serial console that proves the system is up; a login prompt if absent. */
  expect?: string | undefined;
  cpuCount?: number;
  /**
   * Where screenshot and console log are kept; created if absent. What else is made there is removed again.
   */
  workDir: string;
  /** Monotonic milliseconds. */
  now: () => number;
  signal: AbortSignal;
  onProgress?: (progress: { stage: BootStage; seconds: number }) => void;
}

export interface BootCheckResult {
  /** `unknown`: the time ran out with neither proof; look at the screenshot. */
  verdict: "booted" | "not-booted" | "unknown";
  /** In the operator's words. */
  reason: string;
  stage: BootStage;
  /** From power-on to the verdict. */
  seconds: number;
  /** PNG; absent where the guest had no screen left to show. */
  screenshotPath?: string;
  consoleLogPath: string;
}

type Verdict = Pick<BootCheckResult, "verdict" | "reason">;

/**
 * A guest that restarts more often than this is not on its way up. Some systems restart once or twice on new
 * hardware.
 */
const RESTART_LIMIT = 4;
const PROGRESS_INTERVAL_MS = 5000;

const STAGE_WORDS: Record<BootStage, string> = {
  "power-on": "nothing appeared on its serial console",
  firmware: "the firmware started",
  "boot-loader": "the boot loader started",
  kernel: "the kernel started",
  "user-space": "the system was starting its services",
  up: "it was up",
};

/**
 * Boots a throw-away overlay of the disks without network and tells whether the system came up, as its serial
 * console shows. Throws `ToolMissingError`, `QemuFailedError`, or the signal's reason; QEMU is gone by then.
 */
export async function bootCheck(options: BootCheckOptions): Promise<BootCheckResult> {
  options.signal.throwIfAborted();
  await mkdir(options.workDir, { recursive: true });
  const scratch = await mkdtemp(join(options.workDir, "machine-"));
  try {
    return await new BootCheck(options, scratch).run();
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

class BootCheck {
  readonly #options: BootCheckOptions;
  readonly #scratch: string;
  readonly #console: GuestConsole;
  readonly #verdict = Promise.withResolvers<Verdict>();
  #restarts = 0;

  constructor(options: BootCheckOptions, scratch: string) {
    this.#options = options;
    this.#scratch = scratch;
    this.#console = new GuestConsole(options.expect);
  }

  async run(): Promise<BootCheckResult> {
    const { now, signal, workDir, timeoutSeconds, onProgress } = this.#options;
    const consoleLogPath = join(workDir, "console.log");
    await rm(consoleLogPath, { force: true });
    const start = now();
    const elapsed = () => (now() - start) / 1000;
    const machine = await this.#start(consoleLogPath);
    const abort = () => this.#verdict.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    const timeout = setTimeout(() => this.#timeOut(timeoutSeconds), timeoutSeconds * 1000);
    const progress = setInterval(() => {
      onProgress?.({ stage: this.#console.stage, seconds: elapsed() });
    }, PROGRESS_INTERVAL_MS);
    machine.ended.then(({ errors }) => this.#settle("not-booted", endReason(errors)));
    try {
      if (signal.aborted) abort();
      const verdict = await this.#verdict.promise;
      const seconds = elapsed();
      const screenshotPath = await takeScreenshot(machine, join(workDir, "screenshot.png"));
      const stage = this.#console.stage;
      return { ...verdict, stage, seconds, consoleLogPath, ...(screenshotPath && { screenshotPath }) };
    } finally {
      clearTimeout(timeout);
      clearInterval(progress);
      signal.removeEventListener("abort", abort);
      await machine.stop();
    }
  }

  async #start(consoleLogPath: string): Promise<QemuMachine> {
    const { firmware, memoryMiB, cpuCount = 2 } = this.#options;
    return QemuMachine.start({
      disks: firmware === "bios" ? await startableFirst(this.#options.disks) : this.#options.disks,
      ...{ firmware, memoryMiB, cpuCount, consoleLogPath },
      workDir: this.#scratch,
      onConsole: (text) => this.#read(text),
      onEvent: (event) => this.#note(event),
    });
  }

  #read(text: string): void {
    this.#console.append(text);
    const { verdict } = this.#console;
    if (verdict.kind === "failed") this.#settle("not-booted", verdict.reason);
    if (verdict.kind !== "up") return;
    const { expect } = this.#options;
    this.#settle(
      "booted",
      expect === undefined ? "the login prompt appeared" : `the console shows "${expect}"`,
    );
  }

  #note({ event, data }: QmpEvent): void {
    if (event === "RESET" && ++this.#restarts >= RESTART_LIMIT) {
      this.#settle("not-booted", `it restarted ${this.#restarts} times`);
    }
    if (event === "SHUTDOWN") this.#settle("not-booted", "the guest powered itself off");
    if (event === "BLOCK_IO_ERROR") {
      const cause = data.nospace === true ? "no space is left for the overlay" : "an I/O error";
      this.#settle("unknown", `the host could not serve the guest's disk: ${cause}`);
    }
  }

  #timeOut(seconds: number): void {
    const reached = STAGE_WORDS[this.#console.stage];
    this.#settle(
      "unknown",
      `no proof of a running system within ${seconds} s: ${reached}; see the screenshot`,
    );
  }

  #settle(verdict: BootCheckResult["verdict"], reason: string): void {
    this.#verdict.resolve({ verdict, reason });
  }
}

function endReason(errors: string): string {
  return `QEMU ended: ${errors.trim().split("\n").at(-1) || "without a message"}`;
}

/** The path, or nothing where QEMU has already ended or the guest's display is not ready. */
async function takeScreenshot(machine: QemuMachine, path: string): Promise<string | undefined> {
  await rm(path, { force: true });
  try {
    await machine.monitor.execute("screendump", { filename: path, format: "png" });
    return (await stat(path)).size > 0 ? path : undefined;
  } catch {
    // The verdict stands without its picture; its absence is part of the result.
    return undefined;
  }
}
