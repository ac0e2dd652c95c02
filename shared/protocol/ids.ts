/**
 * Ids and names in messages between machines. Each is safe as a part of a path and of an object's key:
 * letters, digits, and few signs between them, never a separator, never `.` or `..`. A receiver checks each
 * with these schemas before it uses it.
 */
import * as z from "zod";

/** A prefix and up to 40 lower-case letters and digits: no two ids differ only by case. */
const idWith = (prefix: string) =>
  z.string().regex(new RegExp(`^${prefix}_[0-9a-z]{1,40}$`), `an id such as ${prefix}_01jd3v8q6m`);

export const ConversionId = idWith("cnv");
/** Of a protection plan. */
export const PlanId = idWith("plan");
/** Of a protection run: one execution of a plan. */
export const RunId = idWith("run");
/** Of a drill: one test start of a recovery point. */
export const DrillId = idWith("drl");
/** Of a check of a source's recovery points in the repository. */
export const CheckId = idWith("chk");
/** Of a recovery: a machine made of a recovery point, which stays. */
export const RecoveryId = idWith("rcv");
/** Of a cutover: a switch from a source to a machine in its place. */
export const CutoverId = idWith("cut");
/** Of what restarts a source into its boot environment. */
export const RestarterId = z.union([ConversionId, CutoverId]);
/** What can own commands of agents. */
export type OwnerKind = "conversion" | "run" | "drill" | "check" | "recovery" | "cutover";
const ownerIds: Readonly<Record<OwnerKind, z.ZodString>> = {
  conversion: ConversionId,
  run: RunId,
  drill: DrillId,
  check: CheckId,
  recovery: RecoveryId,
  cutover: CutoverId,
};
/** Of what an agent's commands belong to. */
export const OwnerId = z.union(Object.values(ownerIds));

/** By the id alone; any other id could only be a conversion's. */
export function ownerKind(id: string): OwnerKind {
  const kinds = Object.keys(ownerIds) as OwnerKind[];
  return kinds.find((kind) => ownerIds[kind].safeParse(id).success) ?? "conversion";
}

export const PointId = idWith("rp");
/** Of an agent: also of the source server or target host that it runs on. */
export const AgentId = idWith("agt");

/** An id of any resource in a request's path or body. No resource has a longer one. */
export const ResourceId = z
  .string()
  .regex(/^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$/, "letters, digits, dash, underscore; at most 100");

/** Made of the owner's id, the kind, a label and the attempt: `cnv_01jd3v8q6m.capture-disk.sda.1`. */
export const CommandId = z
  .string()
  .regex(/^[0-9A-Za-z][0-9A-Za-z._-]{0,199}$/, "letters, digits, dot, dash, underscore; at most 200");

/** Names that Windows reserves for devices, with any extension. */
const DEVICE_NAME = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/** The name of a source server's disk. Images on target hosts are named after it. */
export const DiskName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "letters, digits, dot, dash, underscore; at most 64")
  .refine((name) => !DEVICE_NAME.test(name) && !name.endsWith("."), "not a name that Windows refuses");

/** 1 PiB. */
export const MAX_DISK_BYTES: number = 2 ** 50;
export const DiskBytes = z.int().nonnegative().max(MAX_DISK_BYTES);

/** Whether no two disks have the same name, nor names that a file system may take for the same. */
export function namesDiffer(disks: readonly { name: string }[]): boolean {
  return new Set(disks.map(({ name }) => name.toLowerCase())).size === disks.length;
}

/** For `refine`: beside `namesDiffer`. */
export const NAMES_DIFFER = "two disks have the same name, or names that differ only by case";

/** Some disks of one machine, with different names. */
export function disksOf<T extends z.ZodType<{ name: string }>>(disk: T) {
  return z.array(disk).min(1).max(256).refine(namesDiffer, NAMES_DIFFER);
}

/** The key of an object in the bucket: names between slashes, none of which begins with a dot. */
export const ObjectKey = z
  .string()
  .max(512)
  .regex(/^[0-9A-Za-z][0-9A-Za-z._-]*(\/[0-9A-Za-z][0-9A-Za-z._-]*)+$/, "names between slashes");
