import { hkdfSync } from "node:crypto";

export const DATA_KEY_BYTES = 32;
/**
 * Each pack and each recovery point has its own random salt and so its own key, so nonces can be counters.
 */
export const SALT_BYTES = 16;

/** Names blocks: equal blocks of one source server share an id, which tells an outsider nothing. */
export function deriveBlockIdKey(dataKey: Uint8Array): Buffer {
  return derive(dataKey, new Uint8Array(0), "causeway/1/block-id");
}

/** Seals one pack. */
export function derivePackKey(dataKey: Uint8Array, salt: Uint8Array): Buffer {
  return derive(dataKey, salt, "causeway/1/pack");
}

/** Seals one recovery point. */
export function derivePointKey(dataKey: Uint8Array, salt: Uint8Array): Buffer {
  return derive(dataKey, salt, "causeway/1/point");
}

function derive(dataKey: Uint8Array, salt: Uint8Array, purpose: string): Buffer {
  if (dataKey.length !== DATA_KEY_BYTES) throw new RangeError(`a data key has ${DATA_KEY_BYTES} bytes`);
  return Buffer.from(hkdfSync("sha256", dataKey, salt, purpose, 32));
}
