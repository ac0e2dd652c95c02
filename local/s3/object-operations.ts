import type { Readable } from "node:stream";
import { UnsupportedError } from "../core/aws-error.ts";
import type { ServiceResponse } from "../core/service.ts";
import { type CopySource, parseCopySource } from "./address.ts";
import { type Call, header, isoTime, type Operation, type Store, versionIdOf, xmlResponse } from "./call.ts";
import { parseAlgorithm } from "./checksum.ts";
import type { Bucket, ObjectVersion } from "./model.ts";
import { assertKey } from "./names.ts";
import {
  ATTRIBUTE_HEADERS,
  checksumHeaders,
  describeVersion,
  encryptionHeaders,
  judgeRead,
  requestedEncryption,
  storedHeaders,
  versionHeaders,
  writeConditions,
} from "./object-headers.ts";
import type { Found, Range } from "./objects.ts";
import { openPayload, type Payload } from "./payload.ts";
import { S3Error } from "./s3-error.ts";

export const PAYLOAD_HEADERS = [
  "x-amz-checksum-*",
  "x-amz-sdk-checksum-algorithm",
  "x-amz-trailer",
  "x-amz-decoded-content-length",
];

/** S3's condition keys for a write. */
export function writeContext(call: Call): Record<string, string> {
  const names = {
    "x-amz-server-side-encryption": "s3:x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class": "s3:x-amz-storage-class",
    "x-amz-content-sha256": "s3:x-amz-content-sha256",
    "if-none-match": "s3:if-none-match",
    "if-match": "s3:if-match",
  };
  const entries = Object.entries(names).flatMap(([name, condition]) => {
    const value = header(call.request, name);
    return value === undefined ? [] : [[condition, value] as const];
  });
  return Object.fromEntries(entries);
}

const putObject: Operation = {
  name: "PutObject",
  method: "PUT",
  target: "object",
  headers: [...ATTRIBUTE_HEADERS, ...PAYLOAD_HEADERS],
  async run(call, { access, objects }) {
    const { caller, bucket, key, request } = call;
    access.check(caller, "s3:PutObject", call, writeContext(call));
    const encryption = requestedEncryption(request, bucket);
    access.checkKey(caller, "kms:GenerateDataKey", encryption, bucket, key);
    const attributes = { headers: storedHeaders(request), encryption };
    const conditions = writeConditions(request);
    const payload = openPayload(request);
    const version = await objects.put({ bucket, key, ...payload, attributes, conditions });
    return { status: 200, headers: writtenHeaders(version, call) };
  },
};

function writtenHeaders(version: ObjectVersion, { bucket }: Call): Record<string, string> {
  return {
    etag: `"${version.etag}"`,
    ...versionHeaders(version, bucket),
    ...encryptionHeaders(version.attributes.encryption),
    ...checksumHeaders(version.attributes.checksum),
  };
}

const READ_HEADERS = ["x-amz-checksum-mode"];

const getObject: Operation = {
  name: "GetObject",
  method: "GET",
  target: "object",
  query: ["versionId"],
  headers: READ_HEADERS,
  async run(call, store) {
    const { response, body } = await store.objects.read(() => describe(call, store));
    return response.status === 304 ? response : { ...response, body };
  },
};

const headObject: Operation = {
  name: "HeadObject",
  method: "HEAD",
  target: "object",
  query: ["versionId"],
  headers: READ_HEADERS,
  async run(call, store) {
    return describe(call, store).response;
  },
};

/** Returns a read's answer, without its body. */
function describe(call: Call, { access, objects }: Store): Found & { response: ServiceResponse } {
  const { caller, bucket, key, request } = call;
  if (request.headers["if-range"] !== undefined) throw new UnsupportedError("the header If-Range");
  const versionId = versionIdOf(call);
  access.check(caller, versionId === undefined ? "s3:GetObject" : "s3:GetObjectVersion", call);
  const version = access.findOrHide(caller, bucket, () => objects.find(bucket.name, key, versionId));
  access.checkKey(caller, "kms:Decrypt", version.attributes.encryption, bucket, key);
  const headers = describeVersion(version, bucket);
  const judgement = judgeRead(version, {
    match: header(request, "if-match"),
    noneMatch: header(request, "if-none-match"),
    modifiedSince: header(request, "if-modified-since"),
    unmodifiedSince: header(request, "if-unmodified-since"),
  });
  if (judgement === "not-modified") return { version, range: "none", response: { status: 304, headers } };
  const range = parseRange(header(request, "range"), version.size);
  if (range) {
    headers["content-length"] = String(range.end - range.start + 1);
    headers["content-range"] = `bytes ${range.start}-${range.end}/${version.size}`;
    return { version, range, response: { status: 206, headers } };
  }
  headers["content-length"] = String(version.size);
  // The checksum covers the whole object, so a client would reject a range.
  if (header(request, "x-amz-checksum-mode")?.toUpperCase() === "ENABLED")
    Object.assign(headers, checksumHeaders(version.attributes.checksum));
  return { version, response: { status: 200, headers } };
}

/**
 * The requested range. Returns `undefined` for all bytes. Like S3, it ignores anything but one well-formed
 * range.
 */
export function parseRange(text: string | undefined, size: number): Range | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(text ?? "");
  const [, first = "", last = ""] = match ?? [];
  if (!match || (first === "" && last === "")) return undefined;
  const start = first === "" ? Math.max(size - Number(last), 0) : Number(first);
  const end = first === "" || last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (first !== "" && last !== "" && Number(last) < Number(first)) return undefined;
  if (start >= size || (first === "" && Number(last) === 0)) throw new S3Error("InvalidRange");
  return { start, end };
}

const deleteObject: Operation = {
  name: "DeleteObject",
  method: "DELETE",
  target: "object",
  query: ["versionId"],
  async run(call, { access, objects }) {
    const { caller, bucket, key, request } = call;
    if (request.headers["if-match"] !== undefined) throw new UnsupportedError("If-Match on DeleteObject");
    const versionId = versionIdOf(call);
    access.check(caller, versionId === undefined ? "s3:DeleteObject" : "s3:DeleteObjectVersion", call);
    const removed = await objects.remove(bucket, key, versionId);
    return {
      status: 204,
      headers: {
        ...(removed.versionId === undefined ? {} : { "x-amz-version-id": removed.versionId }),
        ...(removed.deleteMarker ? { "x-amz-delete-marker": "true" } : {}),
      },
    };
  },
};

const copyObject: Operation = {
  name: "CopyObject",
  method: "PUT",
  target: "object",
  selectorHeader: "x-amz-copy-source",
  headers: [
    ...ATTRIBUTE_HEADERS,
    "x-amz-copy-source",
    "x-amz-copy-source-if-*",
    "x-amz-metadata-directive",
    "x-amz-checksum-algorithm",
  ],
  async run(call, store) {
    const { access, objects } = store;
    const { caller, bucket, key, request } = call;
    access.check(caller, "s3:PutObject", call, writeContext(call));
    const source = parseCopySource(header(request, "x-amz-copy-source") ?? "");
    const from = store.buckets.require(source.bucket);
    const encryption = requestedEncryption(request, bucket);
    access.checkKey(caller, "kms:GenerateDataKey", encryption, bucket, key);
    const { version: original, body } = await objects.read(() => ({
      version: findSource(call, store, from, source),
    }));
    let version: ObjectVersion;
    try {
      const headers = copiedHeaders(call, original, from.name === bucket.name && source.key === key);
      const payload = copiedPayload(call, original, body);
      const attributes = { headers, encryption };
      version = await objects.put({
        bucket,
        key,
        ...payload,
        attributes,
        conditions: writeConditions(request),
      });
    } finally {
      body.destroy();
    }
    const { checksum } = version.attributes;
    return xmlResponse(
      "CopyObjectResult",
      {
        LastModified: isoTime(version.modifiedAt),
        ETag: `"${version.etag}"`,
        ...(checksum
          ? { [`Checksum${checksum.algorithm}`]: checksum.value, ChecksumType: checksum.type }
          : {}),
      },
      {
        ...versionHeaders(version, bucket),
        ...encryptionHeaders(encryption),
        ...(from.versioning === "Off" ? {} : { "x-amz-copy-source-version-id": original.versionId }),
      },
    );
  },
};

function findSource(
  call: Call,
  { access, objects }: Store,
  from: Bucket,
  { key, versionId }: CopySource,
): ObjectVersion {
  const { caller } = call;
  assertKey(key);
  access.check(caller, versionId === undefined ? "s3:GetObject" : "s3:GetObjectVersion", {
    bucket: from,
    key,
  });
  const original = access.findOrHide(caller, from, () => objects.find(from.name, key, versionId));
  access.checkKey(caller, "kms:Decrypt", original.attributes.encryption, from, key);
  requireSourceConditions(call, original);
  return original;
}

function copiedPayload({ request }: Call, original: ObjectVersion, body: Readable): Payload {
  const headers = { "content-length": String(original.size) };
  const signature = { ...request.signature, payloadHash: "UNSIGNED-PAYLOAD" };
  const algorithm = parseAlgorithm(header(request, "x-amz-checksum-algorithm"));
  return openPayload({ body, headers, signature }, algorithm ?? original.attributes.checksum?.algorithm);
}

function requireSourceConditions({ request }: Call, original: ObjectVersion): void {
  const judgement = judgeRead(original, {
    match: header(request, "x-amz-copy-source-if-match"),
    noneMatch: header(request, "x-amz-copy-source-if-none-match"),
    modifiedSince: header(request, "x-amz-copy-source-if-modified-since"),
    unmodifiedSince: header(request, "x-amz-copy-source-if-unmodified-since"),
  });
  if (judgement === "not-modified") throw new S3Error("PreconditionFailed");
}

function copiedHeaders(
  { request }: Call,
  original: ObjectVersion,
  ontoItself: boolean,
): Record<string, string> {
  const directive = header(request, "x-amz-metadata-directive") ?? "COPY";
  if (directive === "REPLACE") return storedHeaders(request);
  if (directive !== "COPY") throw new S3Error("InvalidArgument", "Unknown metadata directive.");
  if (ontoItself && original.latest)
    throw new S3Error(
      "InvalidRequest",
      "This copy request is illegal because it changes nothing of the object.",
    );
  return original.attributes.headers;
}

export const OBJECT_OPERATIONS: readonly Operation[] = [
  putObject,
  getObject,
  headObject,
  deleteObject,
  copyObject,
];
