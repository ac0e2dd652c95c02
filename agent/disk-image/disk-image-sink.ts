/** A disk being written. What is never written reads back as zeros. */
export interface DiskImageSink {
  readonly sizeBytes: number;
  /** Where the image is the disk's bytes as they are: other threads may write to it themselves. */
  readonly file?: RawFile;
  /**
   * Any order, several at a time, any alignment; no byte twice at the same time. Throws `DiskFullError`,
   * after which only `abort` makes sense. `bytes` may be reused once this has settled.
   */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Makes the disk durable and gives it its name. Every `write` must have settled. */
  finish(): Promise<void>;
  /** Removes what was written. May be called at any time, again, and after `finish`, when it does nothing. */
  abort(): Promise<void>;
}

/**
 * A file to which a disk's bytes may be written at their own offsets, until the image is finished or aborted.
 */
export interface RawFile {
  readonly fd: number;
  /** Bypasses the page cache: wants memory, offsets and lengths that are multiples of 4 KiB. */
  readonly directFd: number;
  /** The error to report for a failed write of `bytes` bytes, such as `DiskFullError`. */
  translate(error: unknown, bytes: number): Promise<unknown>;
}
