import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { replaceOwnFile } from "#shared/data-folder/replace-own-file.ts";
import type { Randomness } from "../core/randomness.ts";
import type { Clock } from "../core/service.ts";

const KeyVersionSchema = z.strictObject({
  version: z.int().positive(),
  createdAt: z.number(),
  material: z.base64().transform((text) => Buffer.from(text, "base64")),
});

/** One version of a key's material; rotation adds versions and keeps the old ones for decryption. */
export interface KeyVersion {
  version: number;
  createdAt: number;
  /** 32 random bytes, or the private key of a pair (PKCS #8, DER). */
  material: Buffer;
}

const KeyFile = z.strictObject({
  format: z.literal(1),
  keys: z.record(z.uuid(), z.array(KeyVersionSchema).min(1)),
});

/**
 * The key material, in one file that only its owner can read. The store writes a new file and renames it, so
 * a crash leaves either the old or the new one. Without this file, everything that its keys encrypt is lost:
 * back it up separately from the data.
 */
export class KeyStore {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #randomness: Randomness;
  readonly #keys: Map<string, KeyVersion[]>;

  /**
   * Opens the store. Throws if the file exists but is not valid; the store never replaces it with new keys.
   */
  constructor(options: { directory: string; clock: Clock; randomness: Randomness }) {
    this.#directory = options.directory;
    this.#clock = options.clock;
    this.#randomness = options.randomness;
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    this.#keys = this.#read();
    // Write the file before there is any data: if data exists without this file, the keys were lost.
    if (this.#keys.size === 0) this.#write();
  }

  /**
   * Creates the key's material if it has none, and a new version if the newest is older than the rotation
   * period. Pass `make` to create material other than 32 random bytes.
   */
  ensure(
    keyId: string,
    {
      rotationPeriodMs,
      make = () => this.#randomness(32),
    }: { rotationPeriodMs?: number; make?: () => Buffer } = {},
  ): void {
    const versions = this.#keys.get(keyId) ?? [];
    const newest = versions.at(-1);
    const stale =
      newest && rotationPeriodMs !== undefined && this.#clock.now() - newest.createdAt >= rotationPeriodMs;
    if (newest && !stale) return;
    const version = (newest?.version ?? 0) + 1;
    const fresh = { version, createdAt: this.#clock.now(), material: make() };
    this.#keys.set(keyId, [...versions, fresh]);
    this.#write();
  }

  /** Every version of the key, oldest first. Empty if there is no such key. */
  versions(keyId: string): readonly KeyVersion[] {
    return this.#keys.get(keyId) ?? [];
  }

  get #file(): string {
    return join(this.#directory, "keys.json");
  }

  #read(): Map<string, KeyVersion[]> {
    let text: string;
    try {
      text = readFileSync(this.#file, "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return new Map();
      throw error;
    }
    return new Map(Object.entries(KeyFile.parse(JSON.parse(text)).keys));
  }

  #write(): void {
    const keys = [...this.#keys].map(([keyId, versions]) => [
      keyId,
      versions.map((version) => ({ ...version, material: version.material.toString("base64") })),
    ]);
    replaceOwnFile(this.#file, JSON.stringify({ format: 1, keys: Object.fromEntries(keys) }));
  }
}

/** The id of a template's key: a UUID that is the same at every start. */
export function keyIdFor(generatedName: string): string {
  const hex = createHash("sha256").update(`kms-key/${generatedName}`).digest("hex");
  const variant = ((Number.parseInt(hex[16] ?? "0", 16) & 0x3) | 0x8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ].join("-");
}
