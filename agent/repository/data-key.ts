import { hash } from "node:crypto";
import { decodeKeyObject, encodeKeyObject } from "#shared/format/key-object.ts";
import { DATA_KEY_BYTES } from "#shared/format/keys.ts";
import { keyObjectName } from "#shared/format/object-keys.ts";
import { ObjectExistsError, ObjectNotFoundError, type ObjectStore } from "../store/object-store.ts";

/** What creates and unwraps data keys: KMS, or a key file. The context must be the same both times. */
export interface KeyService {
  generate(context: KeyContext): Promise<{ plaintext: Uint8Array; wrapped: Uint8Array; keyId: string }>;
  decrypt(wrapped: Uint8Array, context: KeyContext, keyId: string): Promise<Uint8Array>;
}
export type KeyContext = { sourceId: string };

/**
 * A source server's data key, unwrapped; created if there is none. If several agents create one at once, all
 * get the same key.
 */
export async function obtainDataKey(store: ObjectStore, keys: KeyService, sourceId: string): Promise<Buffer> {
  try {
    return await loadDataKey(store, keys, sourceId);
  } catch (error) {
    if (!(error instanceof ObjectNotFoundError)) throw error;
  }
  const { plaintext, wrapped, keyId } = await keys.generate({ sourceId });
  const wrappedKey = Buffer.from(wrapped).toString("base64");
  const bytes = encodeKeyObject({ version: 1, sourceId, keyId, wrappedKey });
  try {
    await store.put(keyObjectName(sourceId), bytes, { sha256: hash("sha256", bytes) });
    return checkedKey(plaintext);
  } catch (error) {
    if (!(error instanceof ObjectExistsError)) throw error;
    return loadDataKey(store, keys, sourceId);
  }
}

/** A source server's data key; `ObjectNotFoundError` if it has none yet. */
export async function loadDataKey(store: ObjectStore, keys: KeyService, sourceId: string): Promise<Buffer> {
  const name = keyObjectName(sourceId);
  const { wrappedKey, keyId } = decodeKeyObject(await store.get(name), name);
  return checkedKey(await keys.decrypt(Buffer.from(wrappedKey, "base64"), { sourceId }, keyId));
}

function checkedKey(key: Uint8Array): Buffer {
  if (key.length !== DATA_KEY_BYTES)
    throw new RangeError(`a data key has ${DATA_KEY_BYTES} bytes, not ${key.length}`);
  return Buffer.from(key);
}
