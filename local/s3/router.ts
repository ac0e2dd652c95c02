import { UnsupportedError } from "../core/aws-error.ts";
import { ACCOUNT_ID, type ServiceRequest } from "../core/service.ts";
import { BUCKET_OPERATIONS } from "./bucket-operations.ts";
import { header, type Operation } from "./call.ts";
import { MULTIPART_OPERATIONS } from "./multipart-operations.ts";
import { OBJECT_OPERATIONS } from "./object-operations.ts";
import { S3Error } from "./s3-error.ts";

const OPERATIONS: readonly Operation[] = [
  ...OBJECT_OPERATIONS,
  ...MULTIPART_OPERATIONS,
  ...BUCKET_OPERATIONS,
];

/** Headers that any request may have. The gateway has already handled those for authentication. */
const COMMON_HEADERS = [
  "x-amz-content-sha256",
  "x-amz-date",
  "x-amz-expected-bucket-owner",
  "x-amz-security-token",
  "x-amz-user-agent",
];

/**
 * Finds a request's operation. Throws `UnsupportedError` for an unknown operation, and for a query parameter
 * or `x-amz-` header that the operation does not know, because ignoring it would give a wrong answer.
 */
export function route(
  request: Pick<ServiceRequest, "method" | "query" | "headers">,
  hasKey: boolean,
): Operation {
  const target = hasKey ? "object" : "bucket";
  const names = [...request.query.keys()].filter((name) => name !== "x-id" && !name.startsWith("X-Amz-"));
  const operation = OPERATIONS.filter(
    (candidate) => candidate.method === request.method && candidate.target === target,
  )
    .filter((candidate) => isSelected(candidate, request))
    .sort((a, b) => specificity(b) - specificity(a))[0];
  const shown = `${request.method} of an S3 ${target}`;
  if (!operation) throw new UnsupportedError(names.length > 0 ? `${shown} with ?${names.join("&")}` : shown);
  const known = [...Object.keys(operation.selector ?? {}), ...(operation.query ?? [])];
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new UnsupportedError(`?${unknown} on ${shown}`);
  requireKnownHeaders(operation, request);
  return operation;
}

function isSelected(
  { selector = {}, selectorHeader }: Operation,
  request: Pick<ServiceRequest, "query" | "headers">,
): boolean {
  if (selectorHeader !== undefined && request.headers[selectorHeader] === undefined) return false;
  return Object.entries(selector).every(
    ([name, value]) => request.query.has(name) && (value === undefined || request.query.get(name) === value),
  );
}

function specificity({ selector = {}, selectorHeader }: Operation): number {
  // A sub-resource outranks a header, so that a copy into a part is refused rather than taken as a plain
  // copy.
  return Object.keys(selector).length * 2 + (selectorHeader === undefined ? 0 : 1);
}

function requireKnownHeaders(operation: Operation, request: Pick<ServiceRequest, "headers">): void {
  const known = [...COMMON_HEADERS, ...(operation.headers ?? [])];
  const isKnown = (name: string) =>
    known.some((pattern) =>
      pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
    );
  const unknown = Object.keys(request.headers).find((name) => name.startsWith("x-amz-") && !isKnown(name));
  if (unknown !== undefined) throw new UnsupportedError(`the header ${unknown} on S3's ${operation.name}`);
  const owner = header(request, "x-amz-expected-bucket-owner");
  if (owner !== undefined && owner !== ACCOUNT_ID) throw new S3Error("AccessDenied");
}
