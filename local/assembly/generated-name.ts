import { createHash } from "node:crypto";

/**
 * The physical name of a resource that has none in the template: `[a-z0-9-]`, at most 63 characters (S3's
 * limit for bucket names). It is the same at every start and unique among the cloud's resources.
 */
export function generatedName(stack: string, logicalId: string): string {
  const hash = createHash("sha256").update(`${stack}/${logicalId}`).digest("hex").slice(0, 10);
  return [slug(stack, 20), slug(logicalId, 31), hash].filter((part) => part !== "").join("-");
}

function slug(text: string, length: number): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, length)
    .replace(/^-+|-+$/g, "");
}
