/** Crockford's alphabet: no letter looks like a digit, so people can spell an id over the phone. */
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** The prefix of an id says what kind of thing it names. */
export type IdPrefix =
  | "agt"
  | "cnv"
  | "plan"
  | "drl"
  | "rp"
  | "tok"
  | "enr"
  | "aud"
  | "col"
  | "alm"
  | "chk"
  | "rcv"
  | "cut";

/**
 * A new id such as `cnv_01jd3v8q6m4x2k7zt5w9h0n1yb`: 48 bits of time, then 80 random bits, so ids sort by
 * creation time and cannot be guessed. `random` has 10 random bytes.
 */
export function newId(prefix: IdPrefix, nowMs: number, random: Uint8Array): string {
  if (random.length !== 10) throw new RangeError("an id takes 10 random bytes");
  let time = "";
  for (let rest = nowMs, digit = 0; digit < 10; digit++, rest = Math.floor(rest / 32)) {
    time = ALPHABET.charAt(rest % 32) + time;
  }
  let bits = 0n;
  for (const byte of random) bits = (bits << 8n) | BigInt(byte);
  let tail = "";
  for (let digit = 0; digit < 16; digit++, bits >>= 5n) tail = ALPHABET.charAt(Number(bits & 31n)) + tail;
  return `${prefix}_${time}${tail}`;
}

/** When the id was made, in milliseconds since 1970. */
export function timeOfId(id: string): number {
  const time = id.slice(id.indexOf("_") + 1, id.indexOf("_") + 11);
  let ms = 0;
  for (const digit of time) ms = ms * 32 + ALPHABET.indexOf(digit);
  return ms;
}
