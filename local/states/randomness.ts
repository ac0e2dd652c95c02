import { randomBytes, randomUUID } from "node:crypto";

/** The source of names, task tokens and jitter. */
export interface Randomness {
  uuid(): string;
  /** From 0 up to 1. */
  number(): number;
  /** At least 256 unguessable bits in URL-safe characters. */
  secret(): string;
}

export const systemRandomness: Randomness = {
  uuid: randomUUID,
  number: () => randomBytes(4).readUInt32BE() / 2 ** 32,
  secret: () => randomBytes(48).toString("base64url"),
};
