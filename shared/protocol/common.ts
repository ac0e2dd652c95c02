import * as z from "zod";

/** ISO 8601 in UTC, milliseconds. */
export const Timestamp = z.iso.datetime();

export const AgentRole = z.enum(["source", "boot-environment", "target"]);
export type AgentRole = z.infer<typeof AgentRole>;

/** The roles with which an agent enrols. `boot-environment` exists only within a conversion. */
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

/** The measured bottleneck of a running step. */
export const Bottleneck = z.enum(["read", "compress", "upload", "download", "expand", "write"]);
export type Bottleneck = z.infer<typeof Bottleneck>;

export const Progress = z.object({
  bytesDone: z.int().nonnegative(),
  bytesTotal: z.int().nonnegative(),
  rateBytesPerSecond: z.number().nonnegative(),
  /** Absent until there is enough data for an estimate. */
  remainingSeconds: z.number().nonnegative().optional(),
  bottleneck: Bottleneck.optional(),
  /** What is happening, for operators: `booting: kernel started`. */
  note: z.string().max(200).optional(),
});
export type Progress = z.infer<typeof Progress>;
