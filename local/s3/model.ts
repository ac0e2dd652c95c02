/** The nouns of the store: buckets, versions of objects, and uploads in parts. */
import type { PolicyDocument } from "../core/service.ts";

export type ChecksumAlgorithm = "CRC32" | "CRC32C" | "CRC64NVME" | "SHA1" | "SHA256";

export interface Checksum {
  algorithm: ChecksumAlgorithm;
  /** Base64; a composite one ends with `-<number of parts>`. */
  value: string;
  type: "FULL_OBJECT" | "COMPOSITE";
}

/** The requested encryption, which is only echoed. The bytes on disk are stored as received. */
export interface Encryption {
  algorithm: "AES256" | "aws:kms";
  keyId?: string;
  bucketKey?: boolean;
}

export interface LifecycleRule {
  prefix: string;
  expirationDays?: number;
  expiredDeleteMarkers: boolean;
  noncurrent?: { days: number; keepNewest: number };
  abortUploadDays?: number;
}

export interface Bucket {
  name: string;
  /** Milliseconds since 1970, as all times here. */
  createdAt: number;
  versioning: "Off" | "Enabled" | "Suspended";
  encryption: Encryption;
  lifecycle: LifecycleRule[];
  policy?: PolicyDocument;
}

/** One file of an object that was uploaded in parts. */
export interface ContentPart {
  number: number;
  contentId: string;
  size: number;
}

/** Attributes that a client sent with an object, stored with it. */
export interface Attributes {
  /** `content-type`, `cache-control`, `x-amz-meta-*`, … in lower case. */
  headers: Record<string, string>;
  encryption: Encryption;
  checksum?: Checksum;
  /** Present when the content is a folder of part files rather than one file. */
  parts?: ContentPart[];
}

export interface ObjectVersion {
  /** The order of commits. A greater number is newer. */
  sequence: number;
  bucket: string;
  key: string;
  /** The string `null` for objects written without versioning. */
  versionId: string;
  latest: boolean;
  deleteMarker: boolean;
  size: number;
  /** Without quotes. */
  etag: string;
  modifiedAt: number;
  contentId: string;
  attributes: Attributes;
}

export interface Upload {
  id: string;
  bucket: string;
  key: string;
  startedAt: number;
  attributes: Attributes;
  /** The algorithm that all parts carry, if the upload was started with one. */
  algorithm?: ChecksumAlgorithm;
}

export interface UploadedPart extends ContentPart {
  etag: string;
  modifiedAt: number;
  checksum?: Checksum;
}

/** Conditions of a write, evaluated when it commits. */
export interface WriteConditions {
  /** Only if no object is there (`If-None-Match: *`). */
  requiresNew?: boolean;
  /** Only if the object there has this entity tag (`If-Match`). */
  etag?: string;
}
