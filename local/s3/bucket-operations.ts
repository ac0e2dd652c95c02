import { AwsError } from "../core/aws-error.ts";
import { REGION } from "../core/service.ts";
import { type Call, header, isoTime, type Operation, queryNumber, xmlResponse } from "./call.ts";
import { type ListQuery, type ListStart, listObjects, listVersions, MAX_LISTED } from "./listing.ts";
import type { ObjectVersion } from "./model.ts";
import { assertKey } from "./names.ts";
import { readDocument } from "./payload.ts";
import { S3Error } from "./s3-error.ts";
import { childText, parseXml, type XmlObject } from "./xml.ts";

const MAX_DELETED_KEYS = 1000;
const MAX_DELETE_BYTES = 2 * 1024 ** 2;

const headBucket: Operation = {
  name: "HeadBucket",
  method: "HEAD",
  target: "bucket",
  async run(call, { access }) {
    access.check(call.caller, "s3:ListBucket", { bucket: call.bucket });
    return { status: 200, headers: { "x-amz-bucket-region": REGION } };
  },
};

const getBucketLocation: Operation = {
  name: "GetBucketLocation",
  method: "GET",
  target: "bucket",
  selector: { location: "" },
  async run(call, { access }) {
    access.check(call.caller, "s3:GetBucketLocation", { bucket: call.bucket });
    return xmlResponse("LocationConstraint", REGION);
  },
};

const getBucketVersioning: Operation = {
  name: "GetBucketVersioning",
  method: "GET",
  target: "bucket",
  selector: { versioning: "" },
  async run(call, { access }) {
    const { bucket } = call;
    access.check(call.caller, "s3:GetBucketVersioning", { bucket });
    return xmlResponse(
      "VersioningConfiguration",
      bucket.versioning === "Off" ? {} : { Status: bucket.versioning },
    );
  },
};

const listObjectsV2: Operation = {
  name: "ListObjectsV2",
  method: "GET",
  target: "bucket",
  selector: { "list-type": "2" },
  query: [
    "prefix",
    "delimiter",
    "max-keys",
    "start-after",
    "continuation-token",
    "encoding-type",
    "fetch-owner",
  ],
  async run(call, { access, metadata }) {
    const query = listQuery(call);
    access.check(call.caller, "s3:ListBucket", { bucket: call.bucket }, listContext(query));
    const parameter = (name: string) => call.request.query.get(name) ?? undefined;
    const token = parameter("continuation-token");
    const startAfter = parameter("start-after");
    const start =
      token === undefined ? startAfter && { name: startAfter, isPrefix: false } : parseToken(token);
    const page = listObjects(metadata, query, start || undefined);
    const encode = keyEncoder(call);
    return xmlResponse("ListBucketResult", {
      ...listHead(call, query),
      KeyCount: page.versions.length + page.commonPrefixes.length,
      IsTruncated: page.next !== undefined,
      ContinuationToken: token,
      NextContinuationToken: page.next && renderToken(page.next),
      StartAfter: startAfter === undefined ? undefined : encode(startAfter),
      Contents: page.versions.map((version) => describeListed(version, encode)),
      CommonPrefixes: page.commonPrefixes.map((prefix) => ({ Prefix: encode(prefix) })),
    });
  },
};

const listObjectVersions: Operation = {
  name: "ListObjectVersions",
  method: "GET",
  target: "bucket",
  selector: { versions: "" },
  query: ["prefix", "delimiter", "max-keys", "key-marker", "version-id-marker", "encoding-type"],
  async run(call, { access, metadata }) {
    const query = listQuery(call);
    access.check(call.caller, "s3:ListBucketVersions", { bucket: call.bucket }, listContext(query));
    const keyMarker = call.request.query.get("key-marker") ?? "";
    const versionMarker = call.request.query.get("version-id-marker") || undefined;
    if (versionMarker !== undefined && keyMarker === "")
      throw new S3Error("InvalidArgument", "A version-id marker cannot be specified without a key marker.");
    const { delimiter } = query;
    const isPrefix = versionMarker === undefined && delimiter !== "" && keyMarker.endsWith(delimiter);
    const start = keyMarker === "" ? undefined : { name: keyMarker, isPrefix };
    const page = listVersions(metadata, query, start, versionMarker);
    const encode = keyEncoder(call);
    const entry = (version: ObjectVersion): XmlObject => ({
      ...(version.deleteMarker
        ? { Key: encode(version.key), LastModified: isoTime(version.modifiedAt) }
        : describeListed(version, encode)),
      VersionId: version.versionId,
      IsLatest: version.latest,
    });
    return xmlResponse("ListVersionsResult", {
      ...listHead(call, query),
      IsTruncated: page.next !== undefined,
      KeyMarker: encode(keyMarker),
      VersionIdMarker: versionMarker ?? "",
      NextKeyMarker: page.next && encode(page.next.name),
      NextVersionIdMarker: page.next?.versionId,
      Version: page.versions.filter(({ deleteMarker }) => !deleteMarker).map(entry),
      DeleteMarker: page.versions.filter(({ deleteMarker }) => deleteMarker).map(entry),
      CommonPrefixes: page.commonPrefixes.map((prefix) => ({ Prefix: encode(prefix) })),
    });
  },
};

function listQuery(call: Call): ListQuery {
  const { query } = call.request;
  const encoding = query.get("encoding-type") ?? "url";
  if (encoding !== "url")
    throw new S3Error("InvalidArgument", "Invalid Encoding Method specified in Request");
  return {
    bucket: call.bucket.name,
    prefix: query.get("prefix") ?? "",
    delimiter: query.get("delimiter") ?? "",
    maxKeys: queryNumber(call, "max-keys", { min: 0, max: MAX_LISTED, default: MAX_LISTED }),
  };
}

/** The condition keys by which policies narrow a listing. */
function listContext({ prefix, delimiter, maxKeys }: ListQuery): Record<string, string> {
  return {
    "s3:prefix": prefix,
    "s3:max-keys": String(maxKeys),
    ...(delimiter === "" ? {} : { "s3:delimiter": delimiter }),
  };
}

function listHead(call: Call, { bucket, prefix, delimiter, maxKeys }: ListQuery): XmlObject {
  const encode = keyEncoder(call);
  return {
    Name: bucket,
    Prefix: encode(prefix),
    Delimiter: delimiter === "" ? undefined : encode(delimiter),
    MaxKeys: maxKeys,
    EncodingType: call.request.query.get("encoding-type") ?? undefined,
  };
}

function keyEncoder({ request }: Call): (key: string) => string {
  if (!request.query.has("encoding-type")) return (key) => key;
  return (key) => encodeURIComponent(key).replaceAll("%2F", "/");
}

function describeListed(version: ObjectVersion, encode: (key: string) => string): XmlObject {
  const { checksum } = version.attributes;
  return {
    Key: encode(version.key),
    LastModified: isoTime(version.modifiedAt),
    ETag: `"${version.etag}"`,
    Size: version.size,
    StorageClass: "STANDARD",
    ...(checksum ? { ChecksumAlgorithm: checksum.algorithm, ChecksumType: checksum.type } : {}),
  };
}

function renderToken({ name, isPrefix }: ListStart): string {
  return Buffer.from(`${isPrefix ? "p" : "k"}${name}`).toString("base64url");
}

function parseToken(token: string): ListStart {
  const text = Buffer.from(token, "base64url").toString("utf8");
  if (!/^[pk]/.test(text))
    throw new S3Error("InvalidArgument", "The continuation token provided is incorrect");
  return { name: text.slice(1), isPrefix: text.startsWith("p") };
}

const deleteObjects: Operation = {
  name: "DeleteObjects",
  method: "POST",
  target: "bucket",
  selector: { delete: "" },
  headers: ["x-amz-checksum-*", "x-amz-sdk-checksum-algorithm"],
  async run(call, { access, objects }) {
    const { caller, bucket, request } = call;
    requireDigest(call);
    const { targets, quiet } = parseDelete(await readDocument(request, MAX_DELETE_BYTES));
    const outcomes = await Promise.all(
      targets.map(async ({ key, versionId }) => {
        const named = { Key: key, VersionId: versionId };
        try {
          assertKey(key);
          const action = versionId === undefined ? "s3:DeleteObject" : "s3:DeleteObjectVersion";
          access.check(caller, action, { bucket, key });
          const result = await objects.remove(bucket, key, versionId);
          const marker = { DeleteMarker: true, DeleteMarkerVersionId: result.versionId };
          return { deleted: { ...named, ...(result.deleteMarker ? marker : {}) } };
        } catch (error) {
          if (!(error instanceof AwsError)) throw error;
          return { error: { ...named, Code: error.code, Message: error.message } };
        }
      }),
    );
    return xmlResponse("DeleteResult", {
      Deleted: quiet ? [] : outcomes.flatMap(({ deleted }) => deleted ?? []),
      Error: outcomes.flatMap(({ error }) => error ?? []),
    });
  },
};

function requireDigest({ request }: Call): void {
  const has = Object.keys(request.headers).some((name) => name.startsWith("x-amz-checksum-"));
  if (!has && header(request, "content-md5") === undefined)
    throw new S3Error(
      "InvalidRequest",
      "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
    );
}

interface DeleteRequest {
  targets: { key: string; versionId?: string }[];
  quiet: boolean;
}

function parseDelete(document: Buffer): DeleteRequest {
  const root = parseXml(document);
  const named = root.children.filter(({ name }) => name === "Object");
  if (root.name !== "Delete" || named.length === 0 || named.length > MAX_DELETED_KEYS)
    throw new S3Error("MalformedXML");
  const targets = named.map((element) => {
    if (element.children.some(({ name }) => name !== "Key" && name !== "VersionId"))
      throw new S3Error("MalformedXML", "Only Key and VersionId of an object to delete are understood.");
    const key = childText(element, "Key");
    const versionId = childText(element, "VersionId");
    if (!key) throw new S3Error("MalformedXML");
    return { key, ...(versionId ? { versionId } : {}) };
  });
  return { targets, quiet: childText(root, "Quiet") === "true" };
}

export const BUCKET_OPERATIONS: readonly Operation[] = [
  headBucket,
  getBucketLocation,
  getBucketVersioning,
  listObjectsV2,
  listObjectVersions,
  deleteObjects,
];
