import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ArchiveEntry, writeArchive } from "#agent/boot-image/cpio.ts";
import { encodeManifest, fullManifest, imageId } from "#agent/boot-image/manifest.ts";
import { SIGNATURE_FILE, signingKey, signManifest } from "#agent/boot-image/signature.ts";
import { appendToInitrd } from "#agent/boot-image/unified-kernel-image.ts";
import { MANIFEST_FILE, NETWORK_SCRIPTS_FILE } from "#shared/protocol/boot-image.ts";

/**
 * A real boot image whose RAM disk has other files, complete and signed with the key in `keyDir`. Without CD
 * and PXE folder. Returns its folder and its id.
 */
export async function changedBootImage(
  image: string,
  outDir: string,
  keyDir: string,
  changes: readonly ArchiveEntry[],
): Promise<{ dir: string; id: string }> {
  const archive = writeArchive(changes, 0);
  const read = (name: string) => readFile(join(image, name));
  const files = {
    vmlinuz: await read("vmlinuz"),
    "initrd.zst": Buffer.concat([await read("initrd.zst"), archive]),
    "causeway.efi": appendToInitrd(await read("causeway.efi"), archive),
    [NETWORK_SCRIPTS_FILE]: await read(NETWORK_SCRIPTS_FILE),
  };
  const manifest = encodeManifest({
    ...fullManifest.parse(JSON.parse((await read(MANIFEST_FILE)).toString())),
    files: Object.entries(files).map(([path, content]) => ({
      path,
      sizeBytes: content.length,
      sha256: createHash("sha256").update(content).digest("hex"),
    })),
  });
  const id = imageId(manifest);
  const dir = join(outDir, id);
  await mkdir(dir, { recursive: true });
  for (const [path, content] of Object.entries(files)) await writeFile(join(dir, path), content);
  await writeFile(join(dir, MANIFEST_FILE), manifest);
  await writeFile(join(dir, SIGNATURE_FILE), signManifest(manifest, await signingKey(keyDir)));
  return { dir, id };
}
