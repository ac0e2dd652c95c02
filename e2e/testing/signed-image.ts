/** Small boot images that are signed and complete, but that no machine can start. */
import { generateKeyPairSync, hash, sign } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { NewBootImage } from "#shared/protocol/boot-image.ts";

export interface SignedImage {
  id: string;
  /** The image in the API's form. */
  body: NewBootImage;
  /** Contents by path, including the manifest. */
  files: Record<string, string>;
}

export function signedImage(kernel: string): SignedImage {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const files = {
    vmlinuz: kernel,
    "initrd.zst": "initrd",
    "causeway.efi": "efi",
    "pxe/boot.ipxe": "#!ipxe\n",
  };
  const manifest = JSON.stringify({
    format: 1,
    architecture: "x86_64",
    causewayVersion: "0.1.0",
    kernelRelease: "6.1.0-amd64",
    memoryMiB: 1024,
    drivers: [
      { name: "virtio_net", kind: "network" },
      { name: "virtio_blk", kind: "disk" },
    ],
    files: Object.entries(files).map(([path, text]) => ({
      path,
      sizeBytes: text.length,
      sha256: hash("sha256", text),
    })),
  });
  return {
    id: hash("sha256", manifest),
    body: {
      manifest,
      signatureBase64: sign(null, Buffer.from(manifest), privateKey).toString("base64"),
      publicKeyPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
    },
    files: { ...files, "manifest.json": manifest },
  };
}

/** Writes the image as the builder does, with the public key next to it. Returns the key's path. */
export async function writeImage({ body, files }: SignedImage, folder: string): Promise<string> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  await writeFile(join(folder, "manifest.json.sig"), Buffer.from(body.signatureBase64, "base64"));
  const key = join(folder, "key.pub.pem");
  await writeFile(key, body.publicKeyPem);
  return key;
}
