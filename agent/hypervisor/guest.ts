import type { ImageFormat } from "../disk-image/disk-image.ts";

export interface GuestDisk {
  path: string;
  format: ImageFormat;
}

export interface GuestOptions {
  /**
   * In the order in which the firmware tries them; a BIOS tries only the first. Opened read-only under a
   * throw-away overlay.
   */
  disks: readonly GuestDisk[];
  firmware: "bios" | "uefi";
  memoryMiB: number;
  cpuCount: number;
  /** The longest that the overlay of each disk may become. */
  overlayBytes: number;
  /** Where the hypervisor makes files for the guest; none of them remains. */
  workDir: string;
  onEvent: (event: GuestEvent) => void;
  /** Gets what the guest writes to its serial console, one character for each byte. */
  onConsole: (text: string) => void;
}

/** `disk-error`: the host could not serve one of the guest's disks; the guest stands still. */
export type GuestEvent =
  | { kind: "restarted" }
  | { kind: "powered-off" }
  | { kind: "disk-error"; noSpace: boolean };

/** A running guest that only a boot check has: no network, no display, disks never written. */
export interface Guest {
  /** Settles when the hypervisor has ended the guest; never rejects. `cause` says how, in words. */
  readonly ended: Promise<{ cause: string }>;
  /** Whether the guest has written as much to one of its disks as it may. */
  isOverlayFull(): Promise<boolean>;
  /** The screen as PNG, once. Throws where there is none, or it is larger than a screen can be. */
  takeScreenshot(): Promise<Buffer>;
  /** Ends the guest, and removes what was made for it. */
  stop(): Promise<void>;
}

/** How a hypervisor starts the guest of a boot check. */
export interface GuestStarter {
  /** For the operator. */
  name: string;
  /** What a guest takes of the host besides its own memory. */
  overheadMiB: number;
  /**
   * Throws `ToolMissingError` where the hypervisor or its firmware is not installed, `HypervisorFailedError`
   * where the guest does not start.
   */
  start(options: GuestOptions): Promise<Guest>;
}
