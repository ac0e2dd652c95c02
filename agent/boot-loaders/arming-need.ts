/** What the boot environment needs of a machine. */
export interface ArmingNeed {
  jobId: string;
  /** Sizes of what may be staged; which of it is staged depends on the boot loader. */
  kernelBytes: number;
  initrdBytes: number;
  unifiedKernelBytes: number;
  /** Absent where the boot image has no Windows PE image. */
  windowsImageBytes?: number;
  /** The job's own part: identity, network settings, saved boot state. */
  overlayBytes: number;
  /** With a key that this machine's Secure Boot trusts. */
  signedForSecureBoot: boolean;
}
