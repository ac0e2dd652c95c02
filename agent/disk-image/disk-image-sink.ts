/** A disk image while it is written. What is never written reads as zeros. */
export interface DiskImageSink {
  readonly sizeBytes: number;
  /** Present if the image holds the disk's bytes unchanged: other threads can then write to it themselves. */
  readonly file?: RawFile;
  /**
   * In any order, several at a time, with any alignment; never the same byte in two concurrent calls. Throws
   * `DiskFullError`; after that, call only `abort`. `bytes` can be reused once this has settled.
   */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Makes the disk durable and gives it its name. Every `write` must have settled. */
  finish(): Promise<void>;
  /** Removes what was written. Can be called at any time and repeatedly; does nothing after `finish`. */
  abort(): Promise<void>;
}

/** A file that takes a disk's bytes at their own offsets, until the image is finished or aborted. */
export interface RawFile {
  readonly fd: number;
  /** Bypasses the page cache: memory, offsets and lengths must be multiples of 4 KiB. */
  readonly directFd: number;
  /** The error to report for a failed write of `bytes` bytes, such as `DiskFullError`. */
  translate(error: unknown, bytes: number): Promise<unknown>;
}
