import * as z from "zod";
import { DiskMark } from "#shared/domain/disk-recognition.ts";
import { JobUnreadableError } from "#shared/errors.ts";
import { ServiceName } from "#shared/protocol/fence.ts";
import { RestarterId } from "#shared/protocol/ids.ts";
import { formatNetworkPlan, NETWORK_PLAN_FILE, type NetworkPlan } from "../boot-image/network-plan.ts";
import { writeOverlay } from "../boot-image/overlay.ts";
import { SavedBootState } from "../boot-loaders/saved-state.ts";
import { FileLocation } from "../boot-loaders/volumes.ts";
import { Identity } from "../identity/identity.ts";

/** What the boot environment must know about its job. */
export const Job = z.object({
  /** Or the cutover. */
  conversionId: RestarterId,
  /** Who asked for it; shown on the machine's screen. */
  requestedBy: z.string().max(256),
  identity: Identity,
  /**
   * The boot environment's clock never shows an earlier time than its `savedAt`, which the original system's
   * clock gave.
   */
  saved: SavedBootState,
  disks: z.array(DiskMark),
  /**
   * After this long without an answer from the control plane, the boot environment restarts into the original
   * system.
   */
  deadlineSeconds: z.int().positive(),
  /** The same without work; as long as without an answer if absent. */
  idleSeconds: z.int().positive().optional(),
  /** Of a cutover: how to fence the original system for its return. */
  fence: z
    .object({
      term: z.int().positive(),
      /** What is kept down then. */
      services: z.array(ServiceName),
      /** What people read at the console then; absent if the original system's agent is older. */
      notice: z.string().optional(),
      /** The file that does so, and its file system's type as `mount -t` takes it. */
      location: FileLocation,
      type: z.string(),
    })
    .optional(),
  agentVersion: z.string(),
});
export type Job = z.infer<typeof Job>;

/** The job in such a file. Throws `JobUnreadableError`. */
export function readJob(json: string): Job {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new JobUnreadableError("it is not JSON");
  }
  const job = Job.safeParse(value);
  if (job.success) return job.data;
  const [issue] = job.error.issues;
  // Never the value: it may be the agent's key.
  throw new JobUnreadableError(`${issue?.path.join(".") || "the whole"} is not as it was written`);
}

/** The name of the job's file in the overlay. */
export const JOB_FILE = "job.json";
/** Certificate authorities that the boot environment's agent trusts besides the usual ones; PEM. */
const AUTHORITIES_FILE = "authorities.pem";

/** The overlay with a job: readable by root only, because it holds the agent's key. */
export function overlayOf(job: Job, network: NetworkPlan | undefined, authorities = ""): Buffer {
  const files = new Map([
    [JOB_FILE, Buffer.from(JSON.stringify(job))],
    ["deadline", Buffer.from(`${job.deadlineSeconds}\n`)],
  ]);
  if (network) files.set(NETWORK_PLAN_FILE, Buffer.from(formatNetworkPlan(network)));
  if (authorities !== "") files.set(AUTHORITIES_FILE, Buffer.from(authorities));
  return writeOverlay(files);
}

/** The job id in boot loaders' entries and file names: letters, digits and dashes. */
export const jobIdOf = (conversionId: string): string => conversionId.replaceAll("_", "-");
