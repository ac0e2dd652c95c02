/** What the boot environment needs from a machine. */
export interface ArmingNeed {
  jobId: string;
  /** Sizes of what can be staged; the boot loader decides which of it is. */
  kernelBytes: number;
  initrdBytes: number;
  unifiedKernelBytes: number;
  /** Absent if the boot image has no Windows PE image. */
  windowsImageBytes?: number;
  /** The job's own part: identity, network settings, saved boot state. */
  overlayBytes: number;
  /** Whether it is signed with a key that this machine's Secure Boot trusts. */
  signedForSecureBoot: boolean;
}
