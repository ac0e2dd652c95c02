import { createHmac, hash } from "node:crypto";

export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

export interface SigningInput {
  method: string;
  /** Percent-encoded, as it will be sent. */
  path: string;
  query: Record<string, string>;
  /** Lower-case names. `host` is among them. */
  headers: Record<string, string>;
  /** SHA-256 of the body, hex. */
  payloadHash: string;
  region: string;
  /**
   * The service's signing name; `s3` by default. Other services need paths that percent-encoding does not
   * change.
   */
  service?: string;
  credentials: S3Credentials;
  /** Milliseconds since 1970. */
  now: number;
}

/** The headers that AWS needs to accept the request: the given ones and those of AWS Signature Version 4. */
export function signRequest(input: SigningInput): Record<string, string> {
  const { credentials, payloadHash, region, service = "s3" } = input;
  const amzDate = new Date(input.now).toISOString().replace(/[-:]|\.\d{3}/g, "");
  const headers: Record<string, string> = {
    ...input.headers,
    "x-amz-content-sha256": payloadHash,
    "x-amz-date": amzDate,
    ...(credentials.sessionToken ? { "x-amz-security-token": credentials.sessionToken } : {}),
  };
  const names = Object.keys(headers).sort();
  const canonical = [
    input.method,
    input.path,
    encodeQuery(input.query),
    ...names.map((name) => `${name}:${headers[name]?.trim().replace(/ +/g, " ")}`),
    "",
    names.join(";"),
    payloadHash,
  ].join("\n");
  const scope = `${amzDate.slice(0, 8)}/${region}/${service}/aws4_request`;
  const toSign = ["AWS4-HMAC-SHA256", amzDate, scope, hash("sha256", canonical)].join("\n");
  const key = scope.split("/").reduce<Buffer>(hmac, Buffer.from(`AWS4${credentials.secretAccessKey}`));
  const signature = hmac(key, toSign).toString("hex");
  const authorization = `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  return { ...headers, authorization };
}

/** The query in the order and encoding that the signature covers. */
export function encodeQuery(query: Record<string, string>): string {
  return Object.keys(query)
    .map((name) => `${encodeUri(name)}=${encodeUri(query[name] ?? "")}`)
    .sort()
    .join("&");
}

/** Percent-encodes everything except AWS's unreserved characters. */
export function encodeUri(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
