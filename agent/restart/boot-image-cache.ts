import { mkdir, open, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BootImageInvalidError } from "#shared/errors.ts";
import {
  type BootImageFile,
  type BootImageReference,
  bootImageKey,
  MANIFEST_FILE,
} from "#shared/protocol/boot-image.ts";
import type { FullManifest } from "../boot-image/manifest.ts";
import { SIGNATURE_FILE, verifyManifest } from "../boot-image/signature.ts";
import type { BootMachine } from "../machine/boot-machine.ts";
import type { ObjectStore } from "../store/object-store.ts";

/** The size of a piece that is fetched at a time, so that memory does not grow with the image. */
const PIECE_BYTES = 8 * 1024 * 1024;

export interface BootImageCacheDeps {
  folder: string;
  store: ObjectStore;
  machine: Pick<BootMachine, "hash" | "status">;
  /** Throws if images signed with this key may not be started here. */
  trust: (publicKeyPem: string) => Promise<void>;
}

/** Boot images fetched from the bucket, in a folder that does not outlive the system (`/run`). */
export class BootImageCache {
  readonly #folder: string;
  readonly #store: ObjectStore;
  readonly #trust: (publicKeyPem: string) => Promise<void>;
  readonly #machine: Pick<BootMachine, "hash" | "status">;

  constructor({ folder, store, machine, trust }: BootImageCacheDeps) {
    this.#folder = folder;
    this.#store = store;
    this.#machine = machine;
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
    await this.#download(key, { path, sizeBytes: file.sizeBytes, signal });
    if (!(await this.#isWhole(path, file)))
      throw new BootImageInvalidError(`${key} does not match the manifest`);
  }

  async #download(
    key: string,
    { path, sizeBytes, signal }: { path: string; sizeBytes: number; signal: AbortSignal },
  ): Promise<void> {
    await using out = await open(path, "w", 0o600);
    for (let offset = 0; offset < sizeBytes; offset += PIECE_BYTES) {
      const bytes = Math.min(PIECE_BYTES, sizeBytes - offset);
      const piece = await this.#store.get(key, { range: { offset, bytes }, signal });
      await out.writeFile(piece);
    }
  }

  /** Whether the whole file is there: an interrupted fetch leaves a part of it. */
  async #isWhole(path: string, { sizeBytes, sha256 }: BootImageFile): Promise<boolean> {
    const status = await this.#machine.status(path);
    return status?.sizeBytes === sizeBytes && (await this.#machine.hash(path)) === sha256;
  }
}
