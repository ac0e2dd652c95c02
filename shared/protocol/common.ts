import { z } from "zod";

/** ISO 8601 in UTC, milliseconds. */
export const Timestamp = z.iso.datetime();

export const AgentRole = z.enum(["source", "boot-environment", "target", "adapter"]);
export type AgentRole = z.infer<typeof AgentRole>;

/** The roles that enrol on their own; the others act within a conversion. */
export const EnrollableRole = z.enum(["source", "target"]);
export type EnrollableRole = z.infer<typeof EnrollableRole>;

export const DiskFormat = z.enum(["raw", "qcow2"]);
export type DiskFormat = z.infer<typeof DiskFormat>;

export const Failure = z.object({
  name: z.string(),
  message: z.string(),
  hint: z.string(),
  retryable: z.boolean(),
  details: z.record(z.string(), z.unknown()).optional(),
});

/** What limits the speed of a running step, as measured. */
export const Bottleneck = z.enum(["read", "compress", "upload", "download", "expand", "write"]);
export type Bottleneck = z.infer<typeof Bottleneck>;

export const Progress = z.object({
  bytesDone: z.int().nonnegative(),
  bytesTotal: z.int().nonnegative(),
  rateBytesPerSecond: z.number().nonnegative(),
  /** Absent while there is too little to judge by. */
  remainingSeconds: z.number().nonnegative().optional(),
  bottleneck: Bottleneck.optional(),
  /** What is happening, in the operator's words: `booting: kernel started`. */
  note: z.string().max(200).optional(),
});
export type Progress = z.infer<typeof Progress>;
