/** What the API shows. Every resource has an `id`; lists come as `{ items, cursor }`. */
import * as z from "zod";
import { KeepReason, Retention } from "../domain/protection/retention.ts";
import { Sha256 } from "./boot-image.ts";
import { DiskFormat, EnrollableRole, Failure, Progress, Timestamp } from "./common.ts";
import { ConversionType, conversionTypes, StepName } from "./conversion-types.ts";
import { CopiedDisk } from "./copied-disk.ts";
import { BootCheck, BootTest } from "./drill.ts";
import { AgentId, CommandId, ConversionId, DiskName, PlanId, PointId, ResourceId, RunId } from "./ids.ts";
import { Inventory } from "./inventory.ts";
import { AgentSystem, Whereabouts } from "./machine.ts";
import { PointHooks } from "./point-hooks.ts";
import { PointProof } from "./proof.ts";
import { PointCheck } from "./repository-check.ts";
import { AcceptedRules, RuleName } from "./rule-names.ts";
import { FreezeShown, FrozenTime } from "./taken-point.ts";

export { BootCheck, ConversionType, StepName };

/** Whether the agent is connected. `unknown` until it has connected once. */
export const Presence = z.enum(["connected", "disconnected", "unknown"]);

const agentFields = {
  id: AgentId,
  name: z.string(),
  presence: Presence,
  lastSeenAt: Timestamp.optional(),
  enrolledAt: Timestamp,
  revokedAt: Timestamp.optional(),
  agentVersion: z.string().optional(),
  inventory: Inventory.optional(),
};

export const Source = z.object({
  ...agentFields,
  /** The conversion that holds this source; only one conversion or protection run at a time reads it. */
  activeConversionId: ConversionId.optional(),
  /** The protection run that holds it. */
  activeRunId: RunId.optional(),
  /** The plan that protects it. */
  planId: PlanId.optional(),
  /** The system that its agent last reported from. */
  environment: AgentSystem,
  /**
   * `boot-environment`: a machine that was started by hand from a boot image. It is this source until it
   * restarts.
   */
  enrolledFrom: AgentSystem,
  /** The source that the machine became when it was started by hand again. */
  restartedAs: AgentId.optional(),
  /** Whether such a machine is connected, has sent its inventory, and is held by nothing. */
  coldCloningReady: z.boolean(),
});
export type Source = z.infer<typeof Source>;

export const Target = z.object(agentFields);
export type Target = z.infer<typeof Target>;

export const EnrolmentToken = z.object({
  id: z.string(),
  role: EnrollableRole,
  /** Shown once, at creation; only its hash is kept. */
  token: z.string().optional(),
  createdAt: Timestamp,
  expiresAt: Timestamp,
});
export type EnrolmentToken = z.infer<typeof EnrolmentToken>;

export const ConversionState = z.enum(["running", "completed", "failed", "cancelling", "cancelled"]);
export type ConversionState = z.infer<typeof ConversionState>;

export const StepState = z.enum(["waiting", "running", "done", "failed", "skipped", "cancelled"]);

export const Step = z.object({
  name: StepName,
  state: StepState,
  startedAt: Timestamp.optional(),
  endedAt: Timestamp.optional(),
  /** An entry for each command of an agent; `capture` can have one for each disk. */
  work: z.array(
    z.object({
      commandId: CommandId,
      agentId: AgentId,
      disk: DiskName.optional(),
      state: z.string(),
      progress: Progress.optional(),
      /** When the agent disconnected. Its progress is what it last reported. */
      awaySince: Timestamp.optional(),
    }),
  ),
});
export type Step = z.infer<typeof Step>;

export const ConversionResult = z.object({
  /** Files on the target host. */
  disks: z.array(z.object({ name: DiskName, path: z.string(), format: DiskFormat, sizeBytes: z.int() })),
  /** The consistency of each disk's copy. */
  copies: z.array(CopiedDisk),
  ...FreezeShown.shape,
  bytesRead: z.int().nonnegative(),
  bytesStored: z.int().nonnegative(),
  bytesWritten: z.int().nonnegative(),
  bytesVerified: z.int().nonnegative(),
  /** Disk areas that the source could not read; the clone has zeros there. */
  badRanges: z.int().nonnegative(),
  captureSeconds: z.number(),
  limitingStage: z.string(),
  bootCheck: BootCheck.optional(),
  /**
   * The disk that the source's firmware started, by the source's own mounts. Absent if they do not show it,
   * or show several copies.
   */
  bootDisk: DiskName.optional(),
});
export type ConversionResult = z.infer<typeof ConversionResult>;

export const Conversion = z.object({
  id: ConversionId,
  type: ConversionType,
  sourceId: AgentId,
  targetId: AgentId,
  format: DiskFormat,
  bootCheck: z.boolean(),
  state: ConversionState,
  steps: z.array(Step),
  /** Only for types that restart the source: where it is. */
  whereabouts: Whereabouts.optional(),
  /** When to restart the source; if absent, at once. */
  startAt: Timestamp.optional(),
  deadlineSeconds: z.int().optional(),
  bootImageId: Sha256.optional(),
  recoveryPointId: PointId.optional(),
  failure: Failure.optional(),
  result: ConversionResult.optional(),
  /** Preflight rules that `requestedBy` accepted although they may fail. */
  accept: z.array(RuleName),
  requestedBy: z.string(),
  createdAt: Timestamp,
  endedAt: Timestamp.optional(),
});
export type Conversion = z.infer<typeof Conversion>;

/** Fields only for conversions that restart the source. */
const restarting = {
  /** When the source may be restarted: at once if absent or past. */
  startAt: Timestamp.optional(),
  /** How long the boot environment, and later the original system, may take to report. */
  deadlineSeconds: z.int().min(60).max(86_400).optional(),
  /** The newest if absent. */
  bootImageId: Sha256.optional(),
};
const RESTARTING_FIELDS = Object.keys(restarting) as (keyof typeof restarting)[];

export const NewConversion = z
  .strictObject({
    type: ConversionType,
    sourceId: ResourceId,
    targetId: ResourceId,
    format: DiskFormat.default("qcow2"),
    bootCheck: z.boolean().default(false),
    /** All disks of the source if absent. */
    disks: z.array(DiskName).min(1).max(64).optional(),
    /** Also copies what file systems mark as free; otherwise free space reads as zeros in the clone. */
    allBlocks: z.boolean().default(false),
    bandwidthLimitBytesPerSecond: z.int().positive().optional(),
    bootTimeoutSeconds: z.int().min(10).max(7200).default(600),
    /** Console text that proves the clone is up, instead of a login prompt. */
    bootExpect: z.string().min(1).max(200).optional(),
    /** Preflight rules that may fail. The operator takes responsibility for them; recorded and audited. */
    accept: AcceptedRules.default([]),
    ...restarting,
  })
  .superRefine((request, context) => {
    if (conversionTypes[request.type].restartsSource) return;
    for (const path of RESTARTING_FIELDS.filter((name) => request[name] !== undefined)) {
      context.addIssue({
        code: "custom",
        path: [path],
        message: `a ${request.type} conversion does not restart the source`,
      });
    }
  });
export type NewConversion = z.infer<typeof NewConversion>;

export const PreflightRequest = z.strictObject({
  type: ConversionType,
  /** If absent, the outcome of rules about the target host is unknown. */
  targetId: ResourceId.optional(),
  disks: z.array(DiskName).min(1).max(64).optional(),
  bootCheck: z.boolean().default(false),
  bootImageId: Sha256.optional(),
  accept: AcceptedRules.default([]),
});
export type PreflightRequest = z.infer<typeof PreflightRequest>;

export const RuleOutcome = z.object({
  id: RuleName,
  /** What happens if the rule does not hold. */
  severity: z.enum(["fail", "warn"]),
  /** `unknown`: it cannot be found out; `accepted`: it fails, but an operator accepted that. */
  outcome: z.enum(["pass", "warn", "fail", "unknown", "accepted"]),
  /** Whether an operator may accept that it fails, with `accept`. */
  acceptable: z.boolean(),
  /** Who accepted it. */
  acceptedBy: z.string().optional(),
  message: z.string(),
  /** Absent if there is nothing to do. */
  remedy: z.string().optional(),
});
export type RuleOutcome = z.infer<typeof RuleOutcome>;

export const Preflight = z.object({
  /** No rule fails. */
  ok: z.boolean(),
  rules: z.array(RuleOutcome),
});
export type Preflight = z.infer<typeof Preflight>;

export const RecoveryPoint = z.object({
  id: PointId,
  sourceId: AgentId,
  /** The conversion that made it, or the protection run and its plan. */
  conversionId: ConversionId.optional(),
  runId: RunId.optional(),
  planId: ResourceId.optional(),
  createdAt: Timestamp,
  /** What the source uploaded for it; absent from points of earlier versions. */
  bytesStored: z.int().nonnegative().optional(),
  /** When it was pruned. A week later it may be gone. */
  prunedAt: Timestamp.optional(),
  /** What the newest drill of it found; absent if none came to a verdict. */
  bootTested: BootTest.optional(),
  /** How hooks of the source ended; absent if its file systems were not frozen. */
  hooks: PointHooks.optional(),
  /** What the newest check of it in the repository found; absent if it was never checked. */
  checked: PointCheck.optional(),
  /** When its file systems were frozen; absent if they were not, or its disks do not show one instant. */
  frozen: FrozenTime.optional(),
  /** What its proofs found: the newest difference, or else equal files; absent if there was no proof. */
  proved: PointProof.optional(),
  disks: z.array(CopiedDisk.extend({ sizeBytes: z.int(), badRanges: z.int().nonnegative() })),
});
export type RecoveryPoint = z.infer<typeof RecoveryPoint>;

export const PruneRequest = z.strictObject({
  /** Only points that this plan made are pruned. If absent, the plan that protects the source. */
  planId: PlanId.optional(),
  /** If absent, the plan's own. */
  retention: Retention.optional(),
  /** Only judges: nothing is pruned. */
  dryRun: z.boolean().default(false),
});

/** How each recorded point of a source was judged, newest first. Points pruned before are left out. */
export const PruneResult = z.object({
  dryRun: z.boolean(),
  points: z.array(
    z.object({
      id: PointId,
      createdAt: Timestamp,
      /** Why it stays. Empty: it is pruned. */
      keptBy: z.array(KeepReason),
    }),
  ),
});
export type PruneResult = z.infer<typeof PruneResult>;

export const NewCollection = z.strictObject({
  /** Only this source's garbage; every source's if absent. */
  sourceId: ResourceId.optional(),
  /** Only finds the garbage: nothing is deleted. */
  dryRun: z.boolean().default(false),
});

/** What a collection deleted of one source, or would have deleted. */
export const CollectionResult = z.object({
  sourceId: AgentId,
  dryRun: z.boolean(),
  at: Timestamp,
  /** The points that stay. */
  living: z.int().nonnegative(),
  /** The points and packs that went, and the bytes of both. */
  points: z.int().nonnegative(),
  packs: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
  /** Why nothing was deleted. */
  problem: z.string().optional(),
});
export type CollectionResult = z.infer<typeof CollectionResult>;

/** One run of collect-garbage. */
export const Collection = z.object({
  id: ResourceId,
  running: z.boolean(),
  /** Of each source that is done. */
  results: z.array(CollectionResult),
});
export type Collection = z.infer<typeof Collection>;

export const AuditEntry = z.object({
  id: z.string(),
  at: Timestamp,
  /** A user, an agent (`agt_…`), or `causeway` itself. */
  actor: z.string(),
  /** Past tense: `conversion-started`, `enrolment-refused`, `session-refused`. */
  action: z.string(),
  /** The id of the object of the action. */
  subject: z.string(),
  outcome: z.enum(["done", "refused"]),
  details: z.record(z.string(), z.unknown()).optional(),
  /**
   * For actions that the actor can repeat without limit: the count in this clock hour. Subject and details
   * are those of the first time.
   */
  count: z.int().positive().optional(),
  lastAt: Timestamp.optional(),
});
export type AuditEntry = z.infer<typeof AuditEntry>;

/** Temporary credentials to read one source server's repository, and nothing else. */
export const DataAccess = z.object({
  sourceId: AgentId,
  bucket: z.string(),
  /** Ends with a slash. */
  prefix: z.string(),
  region: z.string(),
  /** Absent on AWS, where the SDK knows it. */
  endpoint: z.string().optional(),
  credentials: z.object({
    accessKeyId: z.string(),
    secretAccessKey: z.string(),
    sessionToken: z.string(),
    expiresAt: Timestamp,
  }),
});
export type DataAccess = z.infer<typeof DataAccess>;

export const NewEnrolmentToken = z.strictObject({
  role: EnrollableRole,
  lifetimeSeconds: z.int().min(60).max(604_800).default(86_400),
});

export const NewEnrolment = z.strictObject({
  token: z.string().min(1).max(200),
  role: EnrollableRole,
  name: z.string().min(1).max(100),
  /** PKCS #10, PEM; the key never leaves the agent. */
  csr: z.string().max(8192),
});

export const Enrolment = z.object({
  agentId: AgentId,
  certificatePem: z.string(),
  /**
   * The authority that the agent trusts for MQTT and the credentials provider; absent on AWS, whose root is
   * in the system's store.
   */
  caPem: z.string().optional(),
  mqttEndpoint: z.string(),
  credentialsEndpoint: z.string(),
  roleAlias: z.string(),
  region: z.string(),
  bucket: z.string(),
  kmsKeyId: z.string(),
  /** The public key (SPKI) that signs all messages that this agent obeys. */
  commandKeyPem: z.string(),
  /**
   * For a source: the key of the newest boot image, if there is one. From enrolment on, the agent starts only
   * images with this key.
   */
  bootImageKeyPem: z.string().optional(),
  apiUrl: z.string(),
  /** Base URL for AWS calls; absent on AWS. */
  awsEndpoint: z.string().optional(),
});
export type Enrolment = z.infer<typeof Enrolment>;

/** RFC 9457. `name` is the error's class, for programs. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  name: z.string(),
  hint: z.string(),
  fields: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});
export type Problem = z.infer<typeof Problem>;
