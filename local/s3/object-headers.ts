/** Converts an object's attributes from and to HTTP headers. */

import { UnsupportedError } from "../core/aws-error.ts";
import type { ServiceRequest } from "../core/service.ts";
import { header, httpTime } from "./call.ts";
import { checksumHeader } from "./checksum.ts";
import type { Bucket, Checksum, Encryption, ObjectVersion, WriteConditions } from "./model.ts";
import { NULL_VERSION } from "./objects.ts";
import { S3Error } from "./s3-error.ts";

const MAX_METADATA_BYTES = 2048;
const KEPT_HEADERS = [
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-type",
  "expires",
];
const ENCRYPTION_HEADERS = [
  "x-amz-server-side-encryption",
  "x-amz-server-side-encryption-aws-kms-key-id",
  "x-amz-server-side-encryption-bucket-key-enabled",
] as const;
/** What `storedHeaders` and `requestedEncryption` read. */
export const ATTRIBUTE_HEADERS = ["x-amz-meta-*", "x-amz-storage-class", ...ENCRYPTION_HEADERS];

type Headers = Pick<ServiceRequest, "headers">;

/** The headers to keep with an object. Throws `MetadataTooLarge` above 2 KiB of user metadata. */
export function storedHeaders(request: Headers): Record<string, string> {
  const storageClass = header(request, "x-amz-storage-class") ?? "STANDARD";
  if (storageClass !== "STANDARD") throw new UnsupportedError(`the S3 storage class ${storageClass}`);
  const kept: Record<string, string> = { "content-type": "binary/octet-stream" };
  let metadataBytes = 0;
  for (const name of Object.keys(request.headers)) {
    const value = header(request, name);
    if (value === undefined) continue;
    if (name.startsWith("x-amz-meta-")) {
      metadataBytes += name.length - "x-amz-meta-".length + value.length;
      kept[name] = value;
    } else if (name === "content-encoding") {
      // The framing of the upload is not part of the object.
      const encodings = value.split(",").map((encoding) => encoding.trim());
      const own = encodings.filter((encoding) => encoding !== "aws-chunked" && encoding !== "");
      if (own.length > 0) kept[name] = own.join(",");
    } else if (KEPT_HEADERS.includes(name)) {
      kept[name] = value;
    }
  }
  if (metadataBytes > MAX_METADATA_BYTES) throw new S3Error("MetadataTooLarge");
  return kept;
}

/** The encryption that the request asks for, or the bucket's default. */
export function requestedEncryption(request: Headers, bucket: Bucket): Encryption {
  const [algorithmHeader, keyHeader, bucketKeyHeader] = ENCRYPTION_HEADERS;
  const algorithm = header(request, algorithmHeader);
  const keyId = header(request, keyHeader);
  if (algorithm === undefined) {
    if (keyId !== undefined) throw new S3Error("InvalidArgument", `${keyHeader} needs ${algorithmHeader}.`);
    return bucket.encryption;
  }
  if (algorithm === "AES256") return { algorithm };
  if (algorithm !== "aws:kms") throw new UnsupportedError(`the S3 encryption ${algorithm}`);
  const chosen = keyId ?? bucket.encryption.keyId;
  if (chosen === undefined) throw new UnsupportedError("S3 encryption with the KMS key that AWS manages");
  const bucketKey = header(request, bucketKeyHeader);
  return {
    algorithm,
    keyId: chosen,
    bucketKey: bucketKey === undefined ? (bucket.encryption.bucketKey ?? false) : bucketKey === "true",
  };
}

export function encryptionHeaders({ algorithm, keyId, bucketKey }: Encryption): Record<string, string> {
  const [algorithmHeader, keyHeader, bucketKeyHeader] = ENCRYPTION_HEADERS;
  return {
    [algorithmHeader]: algorithm,
    ...(keyId ? { [keyHeader]: keyId } : {}),
    ...(bucketKey ? { [bucketKeyHeader]: "true" } : {}),
  };
}

export function checksumHeaders(checksum: Checksum | undefined): Record<string, string> {
  if (!checksum) return {};
  return { [checksumHeader(checksum.algorithm)]: checksum.value, "x-amz-checksum-type": checksum.type };
}

export function versionHeaders(
  { versionId }: Pick<ObjectVersion, "versionId">,
  bucket: Bucket,
): Record<string, string> {
  return versionId === NULL_VERSION && bucket.versioning === "Off" ? {} : { "x-amz-version-id": versionId };
}

/** The headers of GetObject and HeadObject for a version, except its length and checksum. */
export function describeVersion(version: ObjectVersion, bucket: Bucket): Record<string, string> {
  return {
    ...version.attributes.headers,
    ...encryptionHeaders(version.attributes.encryption),
    ...versionHeaders(version, bucket),
    etag: `"${version.etag}"`,
    "last-modified": httpTime(version.modifiedAt),
    "accept-ranges": "bytes",
  };
}

/**
 * Reads a write's conditions. S3 has two: the object is new, or it has one entity tag. Throws
 * `UnsupportedError` for others.
 */
export function writeConditions(request: Headers): WriteConditions {
  const none = header(request, "if-none-match");
  const match = header(request, "if-match");
  if (none !== undefined && match !== undefined)
    throw new UnsupportedError("both If-Match and If-None-Match on a write");
  if (none !== undefined && none !== "*")
    throw new UnsupportedError("If-None-Match with anything but * on a write");
  if (match === "*") throw new UnsupportedError("If-Match: * on a write");
  return {
    ...(none === "*" ? { requiresNew: true } : {}),
    ...(match === undefined ? {} : { etag: unquote(match) }),
  };
}

export interface ReadConditions {
  match?: string | undefined;
  noneMatch?: string | undefined;
  modifiedSince?: string | undefined;
  unmodifiedSince?: string | undefined;
}

/**
 * Checks a read's conditions in HTTP's order. The read proceeds, answers 304 or throws `PreconditionFailed`.
 */
export function judgeRead(version: ObjectVersion, conditions: ReadConditions): "proceed" | "not-modified" {
  const { match, noneMatch, modifiedSince, unmodifiedSince } = conditions;
  const seconds = Math.floor(version.modifiedAt / 1000) * 1000;
  if (match !== undefined) {
    if (!matches(match, version.etag)) throw new S3Error("PreconditionFailed");
  } else if (unmodifiedSince !== undefined && seconds > dateOf(unmodifiedSince)) {
    throw new S3Error("PreconditionFailed");
  }
  if (noneMatch !== undefined) return matches(noneMatch, version.etag) ? "not-modified" : "proceed";
  if (modifiedSince !== undefined && seconds <= dateOf(modifiedSince)) return "not-modified";
  return "proceed";
}

export function unquote(etag: string): string {
  return etag.replace(/^"(.*)"$/, "$1");
}

function matches(condition: string, etag: string): boolean {
  return condition.split(",").some((one) => one.trim() === "*" || unquote(one.trim()) === etag);
}

function dateOf(text: string): number {
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new S3Error("InvalidArgument", "A date of a condition cannot be read.");
  return time;
}
