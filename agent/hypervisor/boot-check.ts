import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startableFirst } from "./boot-disk.ts";
import { ConsoleLog } from "./console-log.ts";
import type { Guest, GuestDisk, GuestEvent, GuestStarter } from "./guest.ts";
import { type BootStage, GuestConsole } from "./guest-console.ts";
import { allot, hostRoom } from "./host-room.ts";
import { isPng } from "./png.ts";

export interface BootCheckOptions {
  /** What the boot check belongs to. */
  ownerId: string;
  /** The guest boots from the first one that the firmware can start. Read only. */
  disks: readonly GuestDisk[];
  firmware: "bios" | "uefi";
  memoryMiB: number;
  timeoutSeconds: number;
  /** A text on the serial console that proves the system is up; by default a login prompt. */
  expect?: string | undefined;
  cpuCount?: number;
  /** The most that the guest may write to each disk; less if the storage does not have twice as much free. */
  overlayBytes?: number;
  /**
   * The folder for screenshot and console log; created if absent. Everything else created there is removed
   * again.
   */
  workDir: string;
  /** Monotonic milliseconds. */
  now: () => number;
  signal: AbortSignal;
  onProgress?: (progress: { stage: BootStage; seconds: number }) => void;
}

export interface BootCheckResult {
  /**
   * `unknown`: no proof was found within the time, or this host could not run the guest; see `reason` and the
   * screenshot.
   */
  verdict: "booted" | "not-booted" | "unknown";
  /** For the operator. */
  reason: string;
  stage: BootStage;
  /** From power-on to the verdict. */
  seconds: number;
  /** PNG; absent if the guest's screen was no longer available. */
  screenshotPath?: string;
  consoleLogPath: string;
}

type Verdict = Pick<BootCheckResult, "verdict" | "reason">;

interface Sight {
  verdict: Verdict;
  /** From power-on to the verdict. */
  seconds?: number;
  screenshot?: Buffer | undefined;
}

/**
 * A guest that restarts more often than this will not come up. Some systems restart once or twice on new
 * hardware.
 */
const RESTART_LIMIT = 4;
const PROGRESS_INTERVAL_MS = 5000;
const OVERLAY_BYTES = 32 * 2 ** 30;
/** Of the console's beginning, and of its end. */
const KEPT_LOG_BYTES = 512 * 1024;

const STAGE_WORDS: Record<BootStage, string> = {
  "power-on": "nothing appeared on its serial console",
  firmware: "the firmware started",
  "boot-loader": "the boot loader started",
  kernel: "the kernel started",
  "user-space": "the system was starting its services",
  up: "it was up",
};

/**
 * Boots a throw-away overlay of the disks without network, and reports whether the system came up, as its
 * serial console shows. Throws `ToolMissingError`, `HypervisorFailedError`, or the signal's reason; the guest
 * has ended by then.
 */
export async function bootCheck(options: BootCheckOptions, starter: GuestStarter): Promise<BootCheckResult> {
  options.signal.throwIfAborted();
  await mkdir(options.workDir, { recursive: true });
  const scratch = await mkdtemp(join(options.workDir, "machine-"));
  try {
    return await new BootCheck(options, starter, scratch).run();
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

class BootCheck {
  readonly #options: BootCheckOptions;
  readonly #starter: GuestStarter;
  readonly #scratch: string;
  readonly #console: GuestConsole;
  readonly #verdict = Promise.withResolvers<Verdict>();
  readonly #log = new ConsoleLog(KEPT_LOG_BYTES);
  #restarts = 0;
  #guest: Guest | undefined;

  constructor(options: BootCheckOptions, starter: GuestStarter, scratch: string) {
    this.#options = options;
    this.#starter = starter;
    this.#scratch = scratch;
    this.#console = new GuestConsole(options.expect);
  }

  async run(): Promise<BootCheckResult> {
    const { now, workDir, memoryMiB, disks, overlayBytes = OVERLAY_BYTES } = this.#options;
    const consoleLogPath = join(workDir, "console.log");
    const screenshotPath = join(workDir, "screenshot.png");
    for (const path of [consoleLogPath, screenshotPath]) await rm(path, { force: true });
    const wanted = { memoryMiB, disks: disks.length, overlayBytes };
    const room = allot(await hostRoom(workDir), wanted, this.#starter);
    const start = now();
    const seen = "lacking" in room ? { verdict: lacking(room) } : await this.#watch(room.overlayBytes);
    const { verdict, seconds = (now() - start) / 1000, screenshot } = seen;
    await writeFile(consoleLogPath, this.#log.bytes(), { mode: 0o600 });
    if (screenshot) await writeFile(screenshotPath, screenshot, { mode: 0o600 });
    const stage = this.#console.stage;
    return { ...verdict, stage, seconds, consoleLogPath, ...(screenshot && { screenshotPath }) };
  }

  async #watch(overlayBytes: number): Promise<Sight> {
    const { now, signal, timeoutSeconds, onProgress } = this.#options;
    const start = now();
    const elapsed = () => (now() - start) / 1000;
    const guest = await this.#start(overlayBytes);
    this.#guest = guest;
    const abort = () => this.#verdict.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    const timeout = setTimeout(() => this.#timeOut(timeoutSeconds), timeoutSeconds * 1000);
    const progress = setInterval(() => {
      onProgress?.({ stage: this.#console.stage, seconds: elapsed() });
    }, PROGRESS_INTERVAL_MS);
    guest.ended.then(({ cause }) =>
      this.#settle("unknown", `${this.#starter.name} ended: ${cause.split("\n").at(-1)}`),
    );
    try {
      if (signal.aborted) abort();
      const verdict = await this.#verdict.promise;
      return { verdict, seconds: elapsed(), screenshot: await screenshotOf(guest) };
    } finally {
      clearTimeout(timeout);
      clearInterval(progress);
      signal.removeEventListener("abort", abort);
      await guest.stop();
    }
  }

  async #start(overlayBytes: number): Promise<Guest> {
    const { ownerId, firmware, memoryMiB, cpuCount = 2 } = this.#options;
    return this.#starter.start({
      disks: firmware === "bios" ? await startableFirst(this.#options.disks) : this.#options.disks,
      ...{ ownerId, firmware, memoryMiB, cpuCount, overlayBytes },
      workDir: this.#scratch,
      onConsole: (text) => this.#read(text),
      onEvent: (event) => this.#note(event),
    });
  }

  #read(text: string): void {
    this.#log.append(text);
    this.#console.append(text);
    const { verdict } = this.#console;
    if (verdict.kind === "failed") this.#settle("not-booted", verdict.reason);
    if (verdict.kind === "up") this.#settle("booted", verdict.reason);
  }

  #note(event: GuestEvent): void {
    if (event.kind === "restarted" && ++this.#restarts >= RESTART_LIMIT) {
      this.#settle("not-booted", `it restarted ${this.#restarts} times`);
    }
    if (event.kind === "powered-off") this.#settle("not-booted", "the guest powered itself off");
    if (event.kind === "disk-error") void this.#noteDiskError(event.noSpace);
  }

  async #noteDiskError(noSpace: boolean): Promise<void> {
    // If that cannot be read either, it is an I/O error like any other.
    if (await this.#guest?.isOverlayFull().catch(() => false)) {
      this.#settle("unknown", "the guest wrote more to its disks than a boot check has room for");
    }
    const cause = noSpace ? "no space is left for the overlay" : "an I/O error";
    this.#settle("unknown", `the host could not serve the guest's disk: ${cause}`);
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

function lacking(room: { lacking: string }): Verdict {
  return { verdict: "unknown", reason: `the guest was not started: ${room.lacking}` };
}

/** `undefined` if the guest has already ended, or the hypervisor's answer is not a picture. */
async function screenshotOf(guest: Guest): Promise<Buffer | undefined> {
  try {
    const picture = await guest.takeScreenshot();
    return isPng(picture) ? picture : undefined;
  } catch {
    // The verdict is valid without its picture, whose absence is part of the result.
    return undefined;
  }
}
