/**
 * For tests: a small boot image, signed like a real one, whose unified kernel image is a real program for
 * UEFI in form.
 */
import { createHash, generateKeyPairSync } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MANIFEST_FILE } from "#shared/protocol/boot-image.ts";
import { encodeManifest, type FullManifest, imageId } from "../../boot-image/manifest.ts";
import { publicKeyPem, SIGNATURE_FILE, signManifest } from "../../boot-image/signature.ts";
import { aManifest } from "../../boot-image/testing/a-manifest.ts";
import { writeUnifiedKernelImage } from "../../boot-image/unified-kernel-image.ts";

export interface TestImage {
  dir: string;
  id: string;
  publicKey: string;
}

/** `change`: what its manifest claims besides, true or not. */
export async function createTestImage(dir: string, change: Partial<FullManifest> = {}): Promise<TestImage> {
  const kernel = Buffer.alloc(5000, "kernel ");
  const initrd = Buffer.alloc(9000, "initrd ");
  const files: Record<string, Buffer> = {
    vmlinuz: kernel,
    "initrd.zst": initrd,
    "causeway.efi": writeUnifiedKernelImage({
      stub: emptyStub(),
      kernel,
      initrd,
      commandLine: "panic=10",
      osRelease: "ID=causeway\n",
    }),
  };
  await mkdir(dir, { recursive: true });
  const manifest = aManifest({
    causewayVersion: "0.0.0",
    commandLine: "console=tty0 panic=10",
    files: Object.entries(files).map(([path, bytes]) => ({
      path,
      sizeBytes: bytes.length,
      sha256: createHash("sha256").update(bytes).digest("hex"),
    })),
    ...change,
  });
  const bytes = encodeManifest(manifest);
  const { privateKey } = generateKeyPairSync("ed25519");
  await writeFile(join(dir, MANIFEST_FILE), bytes);
  await writeFile(join(dir, SIGNATURE_FILE), signManifest(bytes, privateKey));
  for (const [path, content] of Object.entries(files)) await writeFile(join(dir, path), content);
  return { dir, id: imageId(bytes), publicKey: publicKeyPem(privateKey) };
}

/** Headers only: room for sections, and none in it. */
function emptyStub(): Buffer {
  const stub = Buffer.alloc(1024);
  const pe = 0x80;
  const optional = pe + 24;
  stub.write("MZ", 0, "latin1");
  stub.writeUInt32LE(pe, 0x3c);
  stub.write("PE\0\0", pe, "latin1");
  stub.writeUInt16LE(240, pe + 20);
  stub.writeUInt32LE(4096, optional + 32);
  stub.writeUInt32LE(512, optional + 36);
  stub.writeUInt32LE(stub.length, optional + 60);
  // One section, after which addresses continue.
  stub.writeUInt16LE(1, pe + 6);
  stub.write(".text", optional + 240, "latin1");
  stub.writeUInt32LE(512, optional + 240 + 8);
  stub.writeUInt32LE(4096, optional + 240 + 12);
  return stub;
}
