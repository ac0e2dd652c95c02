import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BootImageInvalidError } from "#shared/errors.ts";
import { MANIFEST_FILE } from "#shared/protocol/boot-image.ts";
import { hashOpenFile } from "./hash-open-file.ts";
import { type FullManifest, fullManifest, imageId } from "./manifest.ts";

/** 64 bytes: Ed25519 over the manifest's bytes. */
export const SIGNATURE_FILE = "manifest.json.sig";

const PRIVATE_KEY_FILE = "boot-image-key.pem";
const PUBLIC_KEY_FILE = "boot-image-key.pub.pem";

/**
 * The key that signs boot images, created at first use and readable by its owner only. The public key is
 * beside it.
 */
export async function signingKey(dir: string): Promise<KeyObject> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, PRIVATE_KEY_FILE);
  const { privateKey } = generateKeyPairSync("ed25519");
  try {
    // Exclusive: of two concurrent builds, one creates the key.
    await writeFile(path, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600, flag: "wx" });
    await writeFile(join(dir, PUBLIC_KEY_FILE), publicKeyPem(privateKey));
    return privateKey;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return createPrivateKey(await readFile(path));
}

/** What others need to verify images signed with this key. */
export function publicKeyPem(privateKey: KeyObject): string {
  return createPublicKey(privateKey).export({ type: "spki", format: "pem" }).toString();
}

/**
 * The fingerprint that identifies a public key (PEM, Ed25519) to people and programs: SHA-256 of its SPKI in
 * DER. Throws `BootImageInvalidError` for anything else.
 */
export function keyFingerprint(publicKey: string): string {
  return createHash("sha256")
    .update(publicKeyOf(publicKey).export({ type: "spki", format: "der" }))
    .digest("hex");
}

/** Throws `BootImageInvalidError` for anything but an Ed25519 key. */
function publicKeyOf(pem: string): KeyObject {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === "ed25519") return key;
  } catch {
    // Reported below, like a key of another kind.
  }
  throw new BootImageInvalidError("the key that should have signed the boot image is not an Ed25519 key");
}

export function signManifest(manifestBytes: Uint8Array, privateKey: KeyObject): Buffer {
  return sign(null, manifestBytes, privateKey);
}

/**
 * The manifest, if `publicKey` (PEM) signed it and its hash is the expected id; throws
 * `BootImageInvalidError` otherwise. Checks no files: see `verifyFile`.
 */
export function verifyManifest(
  manifestBytes: Uint8Array,
  signature: Uint8Array,
  publicKey: string,
  expectedId?: string,
): FullManifest {
  if (!verify(null, manifestBytes, publicKeyOf(publicKey), signature)) {
    throw new BootImageInvalidError("the boot image is not signed with the expected key");
  }
  const id = imageId(manifestBytes);
  if (expectedId !== undefined && id !== expectedId) {
    throw new BootImageInvalidError(`the boot image is ${id}, not ${expectedId}`);
  }
  const parsed = fullManifest.safeParse(jsonIn(manifestBytes));
  if (!parsed.success) throw new BootImageInvalidError("the boot image's manifest has an unknown format");
  return parsed.data;
}

function jsonIn(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return undefined; // Not a manifest by the schema.
  }
}

/**
 * Throws `BootImageInvalidError` unless the file matches what the manifest says about `path`, byte for byte.
 */
export async function verifyFile(manifest: FullManifest, path: string, location: string): Promise<void> {
  const expected = manifest.files.find((file) => file.path === path);
  if (!expected) throw new BootImageInvalidError(`the boot image has no ${path}`);
  const actual = await hashFile(location);
  if (actual.sha256 !== expected.sha256 || actual.sizeBytes !== expected.sizeBytes) {
    throw new BootImageInvalidError(`${path} does not match the boot image's manifest`);
  }
}

/** Verifies a whole image in a folder, and returns its manifest. */
export async function verifyBootImage(
  dir: string,
  publicKey: string,
  expectedId?: string,
): Promise<FullManifest> {
  const bytes = await readFile(join(dir, MANIFEST_FILE));
  const signature = await readFile(join(dir, SIGNATURE_FILE));
  const manifest = verifyManifest(bytes, signature, publicKey, expectedId);
  for (const { path } of manifest.files) await verifyFile(manifest, path, join(dir, path));
  return manifest;
}

export async function hashFile(location: string): Promise<{ sizeBytes: number; sha256: string }> {
  await using file = await open(location);
  return await hashOpenFile(file);
}
