import type { Caller, ServiceRequest, ServiceResponse } from "../core/service.ts";
import type { Access } from "./access.ts";
import type { BucketRegistry } from "./buckets.ts";
import type { Metadata } from "./metadata.ts";
import type { Bucket } from "./model.ts";
import type { MultipartStore } from "./multipart.ts";
import type { ObjectStore } from "./objects.ts";
import { S3Error } from "./s3-error.ts";
import { renderXml, type XmlObject } from "./xml.ts";

/** The parts of the store that operations use. */
export interface Store {
  buckets: BucketRegistry;
  objects: ObjectStore;
  multipart: MultipartStore;
  metadata: Metadata;
  access: Access;
}

/** One request, addressed. `key` is empty for operations on buckets. */
export interface Call {
  caller: Caller;
  bucket: Bucket;
  key: string;
  request: ServiceRequest;
}

export interface Operation {
  /** As in the API reference, such as `PutObject`. */
  name: string;
  method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  target: "bucket" | "object";
  /** Query parameters that select this operation. If a value is given, the parameter must have it. */
  selector?: Record<string, string | undefined>;
  /** Set if a header, not the query, selects this operation. */
  selectorHeader?: string;
  /** Further query parameters that it takes. */
  query?: readonly string[];
  /** `x-amz-*` headers that it accepts besides the common ones; a trailing `*` matches anything. */
  headers?: readonly string[];
  run(call: Call, store: Store): Promise<ServiceResponse>;
}

/** One header as text. Returns `undefined` if it is absent. */
export function header({ headers }: Pick<ServiceRequest, "headers">, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}

/** A query parameter that is a whole number within bounds. Throws `InvalidArgument`. */
export function queryNumber(
  call: Call,
  name: string,
  bounds: { min: number; max: number; default: number },
): number {
  const value = call.request.query.get(name);
  if (value === null || value === "") return bounds.default;
  const number = Number(value);
  if (!/^\d{1,10}$/.test(value) || number < bounds.min)
    throw new S3Error("InvalidArgument", `Argument ${name} must be an integer of at least ${bounds.min}`);
  return Math.min(number, bounds.max);
}

/** The version that the request names. `undefined` means the newest. */
export function versionIdOf({ request }: Call): string | undefined {
  const versionId = request.query.get("versionId");
  if (versionId === "") throw new S3Error("InvalidArgument", "Version id cannot be the empty string");
  return versionId ?? undefined;
}

export function xmlResponse(
  root: string,
  content: XmlObject | string,
  headers: Record<string, string> = {},
): ServiceResponse {
  return {
    status: 200,
    headers: { "content-type": "application/xml", ...headers },
    body: renderXml(root, content),
  };
}

export function isoTime(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19)}.000Z`;
}

export function httpTime(time: number): string {
  return new Date(time).toUTCString();
}
