import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { GUEST_KERNEL_FILE, INITRD_FILE, MANIFEST_FILE } from "#shared/protocol/boot-image.ts";
import { type FullManifest, fullManifest, imageId } from "../boot-image/manifest.ts";
import { verifyFile } from "../boot-image/signature.ts";
import { BrowseImageUnusableError } from "./errors.ts";

/**
 * The kernel's parameters for a task. Programs that start at the same addresses each time share their
 * translated code: an initramfs, which takes thousands of processes, is built in a third of the time. No
 * secret is kept from such a program: it runs as root, on its own system's data.
 */
const PARAMETERS = {
  browse: "causeway.browse=1 causeway.deadline=0",
  adapt: "causeway.adapt=1 causeway.deadline=0 norandmaps",
  prove: "causeway.prove=1 causeway.deadline=0",
} as const;
export interface GuestImage {
  /** The boot image's. */
  id: string;
  kernel: string;
  ramDisk: string;
  memoryMiB: number;
  commandLine: string;
  /** Rejects with `BootImageInvalidError` if the copy is not the file that the manifest describes. */
  verify: (file: "kernel" | "ramDisk", location: string) => Promise<void>;
}

/** The boot image in a folder, as a guest starts it for a task. Throws `BrowseImageUnusableError`. */
export async function openGuestImage(folder: string, task: keyof typeof PARAMETERS): Promise<GuestImage> {
  const { id, manifest } = await manifestIn(folder);
  if (!manifest.files.some(({ path }) => path === GUEST_KERNEL_FILE))
    throw new BrowseImageUnusableError(`the boot image in ${folder} is older than such guests`);
  const files = { kernel: GUEST_KERNEL_FILE, ramDisk: INITRD_FILE };
  return {
    id,
    kernel: join(folder, files.kernel),
    ramDisk: join(folder, files.ramDisk),
    memoryMiB: manifest.memoryMiB,
    commandLine: `${manifest.commandLine} ${PARAMETERS[task]}`,
    verify: (file, location) => verifyFile(manifest, files[file], location),
  };
}

async function manifestIn(folder: string): Promise<{ id: string; manifest: FullManifest }> {
  const path = join(folder, MANIFEST_FILE);
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new BrowseImageUnusableError(`${folder} is not the folder of a boot image`, { cause: error });
  });
  const parsed = fullManifest.safeParse(jsonIn(bytes.toString("utf8")));
  if (parsed.success) return { id: imageId(bytes), manifest: parsed.data };
  throw new BrowseImageUnusableError(`${path} has an unknown format`);
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
