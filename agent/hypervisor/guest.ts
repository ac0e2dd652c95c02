import type { ImageFormat } from "../disk-image/disk-image.ts";

export interface GuestDisk {
  path: string;
  format: ImageFormat;
}

export interface GuestOptions {
  /** For whom the guest is made: the marker in its firmware. */
  ownerId: string;
  /**
   * In the order in which the firmware tries them; a BIOS tries only the first. Opened read-only under a
   * throw-away overlay.
   */
  disks: readonly GuestDisk[];
  firmware: "bios" | "uefi";
  memoryMiB: number;
  cpuCount: number;
  /** The limit for the overlay of each disk. */
  overlayBytes: number;
  /** Where the hypervisor creates files for the guest; none of them remains. */
  workDir: string;
  onEvent: (event: GuestEvent) => void;
  /** Gets what the guest writes to its serial console, one character for each byte. */
  onConsole: (text: string) => void;
}

/** `disk-error`: the host could not serve one of the guest's disks; the guest is paused. */
export type GuestEvent =
  | { kind: "restarted" }
  | { kind: "powered-off" }
  | { kind: "disk-error"; noSpace: boolean };

/** A running guest of a boot check: no network, no display, disks never written. */
export interface Guest {
  /** Resolves when the hypervisor has ended the guest; never rejects. `cause` is text for people. */
  readonly ended: Promise<{ cause: string }>;
  /** Whether the guest has written as much as it may to one of its disks. */
  isOverlayFull(): Promise<boolean>;
  /** The screen as PNG, once. Throws if there is none, or if it is larger than a screen can be. */
  takeScreenshot(): Promise<Buffer>;
  /** Ends the guest, and removes what was created for it. */
  stop(): Promise<void>;
}

/** How a hypervisor starts the guest of a boot check. */
export interface GuestStarter {
  /** For the operator. */
  name: string;
  /** The memory a guest takes from the host besides its own. */
  overheadMiB: number;
  /**
   * Throws `ToolMissingError` if the hypervisor or its firmware is not installed, `HypervisorFailedError` if
   * the guest does not start.
   */
  start(options: GuestOptions): Promise<Guest>;
}
