/** For tests: a boot image in a bucket, as `causeway boot-images upload` leaves it. */
import { hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type BootImageReference, bootImageKey, MANIFEST_FILE } from "#shared/protocol/boot-image.ts";
import { fullManifest } from "../../boot-image/manifest.ts";
import { SIGNATURE_FILE } from "../../boot-image/signature.ts";
import type { TestImage } from "../../boot-loaders/testing/boot-image.ts";
import type { ObjectStore } from "../../store/object-store.ts";

/** Stores the image's files and returns the reference that agents get. */
export async function storeImage(
  store: Pick<ObjectStore, "put">,
  { dir, id, publicKey }: TestImage,
): Promise<BootImageReference> {
  const manifest = await readFile(join(dir, MANIFEST_FILE));
  const { files, secureBootSigned } = fullManifest.parse(JSON.parse(manifest.toString("utf8")));
  for (const path of [MANIFEST_FILE, ...files.map((file) => file.path)]) {
    const bytes = await readFile(join(dir, path));
    await store.put(bootImageKey(id, path), bytes, { sha256: hash("sha256", bytes) });
  }
  return {
    id,
    manifestKey: bootImageKey(id, MANIFEST_FILE),
    signatureBase64: (await readFile(join(dir, SIGNATURE_FILE))).toString("base64"),
    publicKeyPem: publicKey,
    secureBootSigned,
    files: files.map(({ path, ...rest }) => ({ name: path, key: bootImageKey(id, path), ...rest })),
  };
}
