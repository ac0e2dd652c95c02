import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { AwsError } from "../core/aws-error.ts";

/**
 * The parts of a request that SigV4 signs. Header names are lower case; repeated headers keep all their
 * values.
 */
export interface SignableRequest {
  method: string;
  /** Path and query exactly as received. */
  target: string;
  headers: Readonly<Record<string, readonly string[] | undefined>>;
}

/** What an `Authorization: AWS4-HMAC-SHA256 …` header says. */
export interface Authorization {
  accessKeyId: string;
  /** `YYYYMMDD`. */
  day: string;
  region: string;
  service: string;
  /** `<day>/<region>/<service>/aws4_request` */
  scope: string;
  signedHeaders: string[];
  signature: string;
}

const SCHEME = "AWS4-HMAC-SHA256";

/** Whether a request is signed with SigV4 in its headers. */
export function isSigned(authorization: string | undefined): boolean {
  return authorization?.startsWith(`${SCHEME} `) ?? false;
}

/** Reads the header; throws `IncompleteSignatureException` if a part is missing or malformed. */
export function parseAuthorization(header: string): Authorization {
  const fields = new Map(
    header
      .slice(SCHEME.length)
      .split(",")
      .map((field) => {
        const [name = "", ...value] = field.trim().split("=");
        return [name, value.join("=")] as const;
      }),
  );
  const [accessKeyId, day, region, service, end, ...rest] = (fields.get("Credential") ?? "").split("/");
  const signedHeaders = (fields.get("SignedHeaders") ?? "").split(";").filter((name) => name !== "");
  const signature = fields.get("Signature") ?? "";
  const complete = accessKeyId && day && region && service && end === "aws4_request" && rest.length === 0;
  if (!complete || signedHeaders.length === 0 || !/^[0-9a-f]{64}$/.test(signature)) {
    throw new AwsError(
      "IncompleteSignatureException",
      "the Authorization header is not a complete SigV4 one",
      403,
    );
  }
  const scope = `${day}/${region}/${service}/aws4_request`;
  return { accessKeyId, day, region, service, scope, signedHeaders, signature };
}

/** The key that signs everything of one day, region and service. */
export function signingKey(secretAccessKey: string, { day, region, service }: Authorization): Buffer {
  const dayKey = hmac(`AWS4${secretAccessKey}`, day);
  return hmac(hmac(hmac(dayKey, region), service), "aws4_request");
}

/**
 * Throws `InvalidSignatureException` unless the signature matches exactly this request. `date` is its
 * `X-Amz-Date`.
 */
export function verifySignature(
  request: SignableRequest,
  authorization: Authorization,
  { key, date, payloadHash }: { key: Buffer; date: string; payloadHash: string },
): void {
  const canonical = canonicalRequest(request, authorization, payloadHash);
  const stringToSign = [SCHEME, date, authorization.scope, sha256(canonical)].join("\n");
  const expected = hmac(key, stringToSign);
  if (!timingSafeEqual(expected, Buffer.from(authorization.signature, "hex"))) {
    throw new AwsError(
      "InvalidSignatureException",
      "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.",
      403,
    );
  }
}

/** The request in the canonical form that is hashed and signed. */
export function canonicalRequest(
  { method, target, headers }: SignableRequest,
  { signedHeaders, service }: Pick<Authorization, "signedHeaders" | "service">,
  payloadHash: string,
): string {
  const [path = "/", query = ""] = splitOnce(target, "?");
  const canonicalHeaders = signedHeaders.map((name) => {
    const values = (headers[name] ?? []).map((value) => value.trim().replace(/ +/g, " "));
    return `${name}:${values.join(",")}\n`;
  });
  return [
    method,
    // S3 signs the path as sent. Every other service encodes it again.
    service === "s3" ? path : encodePath(path),
    canonicalQuery(query),
    canonicalHeaders.join(""),
    signedHeaders.join(";"),
    payloadHash,
  ].join("\n");
}

function encodePath(path: string): string {
  return path.split("/").map(encodeRfc3986).join("/");
}

function canonicalQuery(query: string): string {
  if (query === "") return "";
  return query
    .split("&")
    .map((pair) => splitOnce(pair, "=").map((part) => encodeRfc3986(decode(part))))
    .map(([name = "", value = ""]) => [name, value] as const)
    .sort(([name, value], [otherName, otherValue]) => compare(name, otherName) || compare(value, otherValue))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new AwsError("InvalidSignatureException", "the query string is not percent-encoded UTF-8", 403, {
      cause,
    });
  }
}

function encodeRfc3986(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

export function sha256(data: string | Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
