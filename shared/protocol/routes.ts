/**
 * Every operation of the API in one table. The HTTP routes, the handlers' validation, the OpenAPI document
 * and the typed client derive from it.
 */
import { z } from "zod";
import { BootImage, BootImageUpload, NewBootImage } from "./boot-image.ts";
import { AgentRole } from "./common.ts";
import {
  EnrolmentApproval,
  EnrolmentClaim,
  EnrolmentClaimAnswer,
  EnrolmentOffer,
  EnrolmentRequest,
  NewEnrolmentRequest,
} from "./enrolment-request.ts";
import {
  AuditEntry,
  Collection,
  Conversion,
  ConversionReceipt,
  ConversionState,
  DataAccess,
  Enrolment,
  EnrolmentToken,
  NewCollection,
  NewConversion,
  NewEnrolment,
  NewEnrolmentToken,
  Preflight,
  PreflightRequest,
  PruneRequest,
  PruneResult,
  RecoveryPoint,
  Source,
  Target,
} from "./resources.ts";

export type RouteAuth =
  /** A user's bearer token. */
  | "user"
  /** The agent's temporary AWS credentials (SigV4). */
  | "agent"
  /** Anyone; the operation itself checks the request. */
  | "none";

export interface Route {
  method: "GET" | "POST" | "DELETE";
  /** With `{parameters}`, as API Gateway writes them. */
  path: string;
  /** One sentence for the OpenAPI document. */
  summary: string;
  auth: RouteAuth;
  /** The Lambda function that serves it: `functions/api/<handler>.ts`. */
  handler: string;
  query?: z.ZodObject;
  body?: z.ZodType;
  response: z.ZodType;
  status: 200 | 201 | 202;
}

export const Page = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  /** From the previous page. */
  cursor: z.string().max(2000).optional(),
});

const list = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), cursor: z.string().nullable() });

export const routes = {
  createEnrolmentToken: {
    method: "POST",
    path: "/enrolment-tokens",
    handler: "enrolment-tokens",
    auth: "user",
    summary: "Creates a token with which one agent can enrol once.",
    body: NewEnrolmentToken,
    response: EnrolmentToken,
    status: 201,
  },
  enrol: {
    method: "POST",
    path: "/enrolments",
    handler: "enrolments",
    auth: "none",
    summary: "Exchanges an enrolment token and a certificate request for an identity.",
    body: NewEnrolment,
    response: Enrolment,
    status: 201,
  },
  requestEnrolment: {
    method: "POST",
    path: "/enrolment-requests",
    handler: "enrolment-requests",
    auth: "none",
    summary: "Returns a code for the screen of a machine that was started by hand from a boot image.",
    body: NewEnrolmentRequest,
    response: EnrolmentOffer,
    status: 201,
  },
  listEnrolmentRequests: {
    method: "GET",
    path: "/enrolment-requests",
    handler: "enrolment-requests",
    auth: "user",
    summary: "Lists the machines whose codes are waiting for approval, newest first.",
    query: Page,
    response: list(EnrolmentRequest),
    status: 200,
  },
  approveEnrolment: {
    method: "POST",
    path: "/enrolment-approvals",
    handler: "enrolment-requests",
    auth: "user",
    summary: "Approves the machine that shows this code. It becomes a source server.",
    body: EnrolmentApproval,
    response: EnrolmentRequest,
    status: 201,
  },
  claimEnrolment: {
    method: "POST",
    path: "/enrolment-requests/{id}/claim",
    handler: "enrolments",
    auth: "none",
    summary: "Gives the machine that made the request its identity, once it is approved.",
    body: EnrolmentClaim,
    response: EnrolmentClaimAnswer,
    status: 200,
  },
  listSources: {
    method: "GET",
    path: "/sources",
    handler: "agents",
    auth: "user",
    summary: "Lists source servers, newest first.",
    query: Page,
    response: list(Source),
    status: 200,
  },
  getSource: {
    method: "GET",
    path: "/sources/{id}",
    handler: "agents",
    auth: "user",
    summary: "Shows a source server with its inventory.",
    response: Source,
    status: 200,
  },
  listTargets: {
    method: "GET",
    path: "/targets",
    handler: "agents",
    auth: "user",
    summary: "Lists target hosts, newest first.",
    query: Page,
    response: list(Target),
    status: 200,
  },
  getTarget: {
    method: "GET",
    path: "/targets/{id}",
    handler: "agents",
    auth: "user",
    summary: "Shows a target host.",
    response: Target,
    status: 200,
  },
  revokeAgent: {
    method: "DELETE",
    path: "/agents/{id}",
    handler: "agents",
    auth: "user",
    summary:
      "Revokes an agent's certificate at once and permanently. Its temporary credentials expire within 15 minutes.",
    response: z.object({ id: z.string(), role: AgentRole, revokedAt: z.string() }),
    status: 200,
  },
  startConversion: {
    method: "POST",
    path: "/conversions",
    handler: "conversions",
    auth: "user",
    summary: "Starts a conversion.",
    body: NewConversion,
    response: Conversion,
    status: 202,
  },
  listConversions: {
    method: "GET",
    path: "/conversions",
    handler: "conversions",
    auth: "user",
    summary: "Lists conversions, newest first.",
    query: Page.extend({ state: ConversionState.optional() }),
    response: list(Conversion),
    status: 200,
  },
  getConversion: {
    method: "GET",
    path: "/conversions/{id}",
    handler: "conversions",
    auth: "user",
    summary: "Shows a conversion with the progress of each step.",
    response: Conversion,
    status: 200,
  },
  cancelConversion: {
    method: "POST",
    path: "/conversions/{id}/cancel",
    handler: "conversions",
    auth: "user",
    summary: "Cancels a running conversion and releases what it used.",
    response: Conversion,
    status: 202,
  },
  getConversionReceipt: {
    method: "GET",
    path: "/conversions/{id}/receipt",
    handler: "conversions",
    auth: "user",
    summary:
      "Shows the boot receipt of a conversion, which proves that it left nothing in the source's boot state.",
    response: ConversionReceipt,
    status: 200,
  },
  checkPreflight: {
    method: "POST",
    path: "/sources/{id}/preflight",
    handler: "preflight",
    auth: "user",
    summary: "Checks every rule for a conversion of this source. Changes nothing.",
    body: PreflightRequest,
    response: Preflight,
    status: 200,
  },
  addBootImage: {
    method: "POST",
    path: "/boot-images",
    handler: "boot-images",
    auth: "user",
    summary: "Registers a boot image and returns temporary credentials to upload its files.",
    body: NewBootImage,
    response: BootImageUpload,
    status: 201,
  },
  completeBootImage: {
    method: "POST",
    path: "/boot-images/{id}/complete",
    handler: "boot-images",
    auth: "user",
    summary: "Checks every file of a boot image by size and hash. From then on, conversions use the image.",
    response: BootImage,
    status: 200,
  },
  listBootImages: {
    method: "GET",
    path: "/boot-images",
    handler: "boot-images",
    auth: "user",
    summary: "Lists complete boot images, newest first.",
    query: Page,
    response: list(BootImage),
    status: 200,
  },
  listRecoveryPoints: {
    method: "GET",
    path: "/sources/{id}/recovery-points",
    handler: "recovery-points",
    auth: "user",
    summary: "Lists the recovery points of a source server, newest first.",
    query: Page,
    response: list(RecoveryPoint),
    status: 200,
  },
  getRecoveryPoint: {
    method: "GET",
    path: "/recovery-points/{id}",
    handler: "recovery-points",
    auth: "user",
    summary: "Shows a recovery point.",
    response: RecoveryPoint,
    status: 200,
  },
  pruneSource: {
    method: "POST",
    path: "/sources/{id}/prune",
    handler: "prune",
    auth: "user",
    summary: "Prunes the recovery points of a source server that a retention does not keep.",
    body: PruneRequest,
    response: PruneResult,
    status: 200,
  },
  startCollection: {
    method: "POST",
    path: "/collections",
    handler: "collections",
    auth: "user",
    summary: "Starts to delete what no recovery point needs any more.",
    body: NewCollection,
    response: Collection,
    status: 202,
  },
  getCollection: {
    method: "GET",
    path: "/collections/{id}",
    handler: "collections",
    auth: "user",
    summary: "Shows what a collection of garbage has deleted.",
    response: Collection,
    status: 200,
  },
  openSourceData: {
    method: "POST",
    path: "/sources/{id}/data-access",
    handler: "data-access",
    auth: "user",
    summary: "Returns temporary credentials for the operator to read one source server's repository.",
    response: DataAccess,
    status: 201,
  },
  openConversionData: {
    method: "POST",
    path: "/conversions/{id}/data-access",
    handler: "data-access",
    auth: "agent",
    summary:
      "Returns temporary credentials for a target host to read the repository that a conversion assigned to it.",
    response: DataAccess,
    status: 201,
  },
  listAudit: {
    method: "GET",
    path: "/audit",
    handler: "audit",
    auth: "user",
    summary: "Lists who did what, newest first.",
    query: Page,
    response: list(AuditEntry),
    status: 200,
  },
  getOpenApi: {
    method: "GET",
    path: "/openapi.json",
    handler: "openapi",
    auth: "none",
    summary: "This API's OpenAPI document.",
    response: z.record(z.string(), z.unknown()),
    status: 200,
  },
} as const satisfies Record<string, Route>;

export type OperationId = keyof typeof routes;
