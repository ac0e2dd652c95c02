import { S3Error } from "./s3-error.ts";

export interface Address {
  bucket: string;
  /** Empty when the bucket itself is addressed. */
  key: string;
}

export interface CopySource extends Address {
  versionId?: string;
}

/**
 * Path-style addressing: `/<bucket>/<key>`, percent-encoded and otherwise unchanged: `//` and `..` are
 * ordinary parts of a key.
 */
export function parsePath(path: string): Address {
  const match = /^\/([^/]*)(?:\/(.*))?$/s.exec(path);
  if (!match) throw new S3Error("InvalidURI");
  return { bucket: decode(match[1] ?? ""), key: decode(match[2] ?? "") };
}

/** `[/]<bucket>/<key>[?versionId=<id>]` of `x-amz-copy-source`. */
export function parseCopySource(header: string): CopySource {
  const match = /^\/?([^/?]+)\/([^?]+)(?:\?versionId=([^&]+))?$/s.exec(header);
  if (!match) throw new S3Error("InvalidArgument", "The copy source must name a bucket and a key.");
  const [, bucket = "", key = "", versionId] = match;
  return { bucket: decode(bucket), key: decode(key), ...(versionId ? { versionId: decode(versionId) } : {}) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new S3Error("InvalidURI", undefined, { cause: error });
  }
}
