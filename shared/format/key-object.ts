import { hash } from "node:crypto";
import * as z from "zod";
import { DamagedObjectError } from "./errors.ts";
import { RepositoryId } from "./point.ts";

/** The content of `key.json`: the data key of a source server, wrapped by KMS. */
export const KeyObject = z.strictObject({
  version: z.literal(1),
  sourceId: RepositoryId,
  /** The KMS key that wrapped it; the encryption context is `{ sourceId }`. */
  keyId: z.string().min(1).max(2048),
  wrappedKey: z.base64(),
});
export type KeyObject = z.infer<typeof KeyObject>;

/**
 * The form is canonical and has a checksum: a reader notices every altered byte, and does not mistake damage
 * for a refusal by KMS.
 */
export function encodeKeyObject(key: KeyObject): Buffer {
  const fields = KeyObject.parse(key);
  const sha256 = hash("sha256", JSON.stringify(fields));
  return Buffer.from(`${JSON.stringify({ ...fields, sha256 }, null, 2)}\n`);
}

export function decodeKeyObject(bytes: Buffer, object: string): KeyObject {
  try {
    const { sha256: _, ...fields } = KeyObject.extend({ sha256: z.string() }).parse(
      JSON.parse(bytes.toString()),
    );
    if (encodeKeyObject(fields).equals(bytes)) return fields;
  } catch (cause) {
    throw new DamagedObjectError(object, "it is not readable", { cause });
  }
  throw new DamagedObjectError(object, "its checksum does not match");
}
