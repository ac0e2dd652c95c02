import { hash } from "node:crypto";
import { ObjectExistsError, type ObjectStore } from "./object-store.ts";

/**
 * Stores bytes under a key that contains their SHA-256, so that repeating it overwrites nothing: an existing
 * object has the same bytes. `keyOf` gets 64 hex digits. Throws `ObjectExistsError` if the name holds other
 * bytes.
 */
export async function putNamedByContent(
  store: Pick<ObjectStore, "put" | "get">,
  bytes: Uint8Array,
  keyOf: (sha256: string) => string,
): Promise<{ key: string; sha256: string }> {
  const sha256 = hash("sha256", bytes);
  const key = keyOf(sha256);
  try {
    await store.put(key, bytes, { sha256 });
  } catch (error) {
    if (!(error instanceof ObjectExistsError) || !(await store.get(key)).equals(bytes)) throw error;
  }
  return { key, sha256 };
}
