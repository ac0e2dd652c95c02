import { randomBytes } from "node:crypto";

/** Unpredictable bytes; tests inject a repeatable source. */
export type Randomness = (bytes: number) => Buffer;

/** The operating system's random source. The only place in `local/` that reads it. */
export const systemRandomness: Randomness = (bytes) => randomBytes(bytes);
