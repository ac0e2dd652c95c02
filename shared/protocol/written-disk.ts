/** Disks that a target host wrote, as commands name them. */
import * as z from "zod";
import { DiskFormat } from "./common.ts";
import { AgentId, DiskBytes, DiskName, OwnerId, PointId } from "./ids.ts";

export const WrittenDisk = z.object({
  name: DiskName,
  /** For people. The agent derives it from owner, name and format, and refuses any other. */
  path: z.string().max(4096),
  format: DiskFormat,
  sizeBytes: DiskBytes.positive(),
});
export type WrittenDisk = z.infer<typeof WrittenDisk>;

/** Of a standby, which is written in place, and so of its clones. */
export const STANDBY_FORMAT: DiskFormat = "raw";

/** Whose images a command is about, and of which recovery point. */
export const ownedPoint = { ownerId: OwnerId, sourceId: AgentId, pointId: PointId };
