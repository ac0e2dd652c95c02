import { createHash } from "node:crypto";

/** In hexadecimal. */
export function sha256OfText(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
