import { createHmac } from "node:crypto";

export const SIGNATURE_HEADER = "causeway-signature";

/**
 * The header's value for a body that is sent now: `t=<seconds since 1970>,v1=<hex>`, where v1 is the
 * HMAC-SHA256 of `<t>.<body>`. The receiver refuses an old `t`, so a recorded request is of no use later.
 */
export function signatureOf(body: string, secret: string, nowMs: number): string {
  const seconds = Math.floor(nowMs / 1000);
  return `t=${seconds},v1=${createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")}`;
}
