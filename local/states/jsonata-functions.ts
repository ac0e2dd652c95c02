/** The functions that AWS adds to JSONata, and the time functions on the injected clock. */
import { createHash } from "node:crypto";
import jsonata from "jsonata";
import type { Clock } from "#local/core/service.ts";
import type { Randomness } from "./randomness.ts";

const HASHES: Record<string, string> = {
  MD5: "md5",
  "SHA-1": "sha1",
  "SHA-256": "sha256",
  "SHA-384": "sha384",
  "SHA-512": "sha512",
};
const MAX_RANGE_ITEMS = 1000;
const formatTime = jsonata("$fromMillis($millis, $picture, $timezone)");

/** Bindings for one evaluation. They check their arguments, which come from the definition's author. */
export function functionBindings(clock: Clock, randomness: Randomness): Record<string, unknown> {
  const millis = clock.now();
  return {
    partition,
    range,
    hash,
    parse: (text: unknown) => (text === undefined ? undefined : JSON.parse(String(text))),
    uuid: () => randomness.uuid(),
    random: (seed?: unknown) => (seed === undefined ? randomness.number() : seededRandom(seed)),
    millis: () => millis,
    now: (picture?: string, timezone?: string) =>
      formatTime.evaluate(undefined, { millis, picture, timezone }),
  };
}

function partition(items: unknown, size: unknown): unknown[][] | undefined {
  if (items === undefined) return undefined;
  const list = Array.isArray(items) ? items : [items];
  const step = Math.floor(numberOf(size, "$partition: the chunk size"));
  if (step < 1) throw new TypeError("$partition: the chunk size must be positive");
  const chunks: unknown[][] = [];
  for (let at = 0; at < list.length; at += step) chunks.push(list.slice(at, at + step));
  return chunks;
}

function range(first: unknown, last: unknown, delta: unknown): number[] {
  const from = numberOf(first, "$range: the first number");
  const to = numberOf(last, "$range: the last number");
  const step = numberOf(delta, "$range: the step");
  if (step === 0) throw new TypeError("$range: the step must not be zero");
  const count = Math.max(0, Math.floor((to - from) / step) + 1);
  if (count > MAX_RANGE_ITEMS) throw new TypeError(`$range: gives more than ${MAX_RANGE_ITEMS} numbers`);
  return Array.from({ length: count }, (_, index) => from + index * step);
}

function hash(data: unknown, algorithm: unknown = "SHA-1"): string | undefined {
  if (data === undefined) return undefined;
  const known = HASHES[String(algorithm)];
  if (!known) throw new TypeError(`$hash: no algorithm ${String(algorithm)}`);
  const text = typeof data === "string" ? data : JSON.stringify(data);
  return createHash(known).update(text).digest("hex");
}

/** The same number for the same seed. */
function seededRandom(seed: unknown): number {
  const digest = createHash("sha256")
    .update(String(numberOf(seed, "$random: the seed")))
    .digest();
  return digest.readUInt32BE() / 2 ** 32;
}

function numberOf(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new TypeError(`${what} must be a number`);
  return value;
}
