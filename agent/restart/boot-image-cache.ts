import { createHash } from "node:crypto";
import { mkdir, open, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BootImageInvalidError } from "#shared/errors.ts";
import {
  type BootImageFile,
  type BootImageReference,
  bootImageKey,
  MANIFEST_FILE,
} from "#shared/protocol/boot-image.ts";
import type { FullManifest } from "../boot-image/manifest.ts";
import { hashFile, SIGNATURE_FILE, verifyManifest } from "../boot-image/signature.ts";
import type { ObjectStore } from "../store/object-store.ts";

/** The size of a piece that is fetched at a time, so that memory does not grow with the image. */
const PIECE_BYTES = 8 * 1024 * 1024;

/** Boot images fetched from the bucket, in a folder that does not outlive the system (`/run`). */
export class BootImageCache {
  readonly #folder: string;
  readonly #store: ObjectStore;
  readonly #trust: (publicKeyPem: string) => Promise<void>;
  /** What identifies each file that this process has found to be whole, by path. Hashing takes seconds. */
  readonly #whole = new Map<string, string>();

  /** `trust` throws if images signed with this key may not be started here. */
  constructor(folder: string, store: ObjectStore, trust: (publicKeyPem: string) => Promise<void>) {
    this.#folder = folder;
    this.#store = store;
    this.#trust = trust;
  }

  folderOf(imageId: string): string {
    return join(this.#folder, imageId);
  }

  /**
   * Fetches the manifest, and those of the named files that are not here whole. Checks the signature first,
   * and fetches nothing else of an untrusted image. Throws `BootImageInvalidError`.
   */
  async fetch(
    image: BootImageReference,
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<FullManifest> {
    await this.#trust(image.publicKeyPem);
    const folder = this.folderOf(image.id);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const bytes = await this.#store.get(bootImageKey(image.id, MANIFEST_FILE), { signal });
    const signature = Buffer.from(image.signatureBase64, "base64");
    const manifest = verifyManifest(bytes, signature, image.publicKeyPem, image.id);
    if (manifest.secureBootSigned !== image.secureBootSigned)
      throw new BootImageInvalidError(
        `the boot image ${image.id} does not match what the control plane says about it`,
      );
    await writeFile(join(folder, MANIFEST_FILE), bytes);
    await writeFile(join(folder, SIGNATURE_FILE), signature);
    for (const name of names) await this.#fetchFile(image, manifest, name, signal);
    return manifest;
  }

  async drop(imageId: string): Promise<void> {
    await rm(this.folderOf(imageId), { recursive: true, force: true });
  }

  async #fetchFile(
    image: BootImageReference,
    manifest: FullManifest,
    name: string,
    signal: AbortSignal,
  ): Promise<void> {
    const file = manifest.files.find(({ path }) => path === name);
    if (!file) throw new BootImageInvalidError(`the boot image ${image.id} has no ${name}`);
    const key = bootImageKey(image.id, file.path);
    const path = join(this.folderOf(image.id), name);
    if (await this.#isWhole(path, file)) return;
    await mkdir(dirname(path), { recursive: true });
    const digest = createHash("sha256");
    await using out = await open(path, "w", 0o600);
    for (let offset = 0; offset < file.sizeBytes; offset += PIECE_BYTES) {
      const bytes = Math.min(PIECE_BYTES, file.sizeBytes - offset);
      const piece = await this.#store.get(key, { range: { offset, bytes }, signal });
      digest.update(piece);
      await out.writeFile(piece);
    }
    if (digest.digest("hex") !== file.sha256)
      throw new BootImageInvalidError(`${key} does not match the manifest`);
    const written = await identityOf(path);
    if (written) this.#whole.set(path, `${file.sha256} ${written.identity}`);
  }

  /**
   * Whether the whole file is there: an interrupted fetch leaves a part of it. A file that has not changed
   * since it was found whole is not hashed again; staging hashes it once more.
   */
  async #isWhole(path: string, { sizeBytes, sha256 }: BootImageFile): Promise<boolean> {
    const found = await identityOf(path);
    if (found?.sizeBytes !== sizeBytes) return false;
    const identity = `${sha256} ${found.identity}`;
    if (this.#whole.get(path) === identity) return true;
    if ((await hashFile(path)).sha256 !== sha256) return false;
    this.#whole.set(path, identity);
    return true;
  }
}

/** What changes when a file is replaced or written; `undefined` if there is none. */
async function identityOf(path: string): Promise<{ sizeBytes: number; identity: string } | undefined> {
  const found = await stat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!found) return undefined;
  const { dev, ino, size, mtimeNs, ctimeNs } = found;
  return { sizeBytes: Number(size), identity: [dev, ino, mtimeNs, ctimeNs].join(" ") };
}
