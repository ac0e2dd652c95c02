import type { ObjectSummary } from "./object-store.ts";

/** A page of a ListObjectsV2 answer. */
export interface Listing {
  objects: ObjectSummary[];
  /** The token of the next page, if there is one. */
  next: string | undefined;
}

/** Reads the two XML formats that S3 answers with. They are flat and machine-made, so patterns suffice. */
export function readListing(xml: string): Listing {
  const objects = [...xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)].map(([, entry = ""]) => ({
    key: field(entry, "Key"),
    sizeBytes: Number(field(entry, "Size")),
  }));
  const more = field(xml, "IsTruncated") === "true";
  return { objects, next: more ? field(xml, "NextContinuationToken") : undefined };
}

/** An error's code and message; both empty if the body is not an S3 error. */
export function readS3Error(xml: string): { code: string; message: string } {
  return { code: field(xml, "Code"), message: field(xml, "Message") };
}

function field(xml: string, name: string): string {
  const text = new RegExp(`<${name}>(.*?)</${name}>`, "s").exec(xml)?.[1] ?? "";
  return text.replace(/&(lt|gt|quot|apos|amp|#(\d+)|#x([0-9a-fA-F]+));/g, (_, entity, decimal, hex) => {
    if (decimal || hex) return String.fromCodePoint(decimal ? Number(decimal) : Number.parseInt(hex, 16));
    return ENTITIES[entity] ?? "";
  });
}
const ENTITIES: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
