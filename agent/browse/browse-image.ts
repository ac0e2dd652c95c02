import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { MANIFEST_FILE } from "#shared/protocol/boot-image.ts";
import { type FullManifest, fullManifest } from "../boot-image/manifest.ts";
import { verifyFile } from "../boot-image/signature.ts";
import { BrowseImageUnusableError } from "./errors.ts";

/** Files of a boot image. */
const FILES = { kernel: "vmlinuz", ramDisk: "initrd.zst" } as const;
/** The driver of the channel. Boot images that cannot browse do not have it. */
const CHANNEL_DRIVER = "virtio_console";

export interface BrowseImage {
  kernel: string;
  ramDisk: string;
  memoryMiB: number;
  commandLine: string;
  /** Rejects with `BootImageInvalidError` if the copy is not the file that the manifest describes. */
  verify: (file: keyof typeof FILES, location: string) => Promise<void>;
}

/** The boot image in a folder, as a guest that browses starts it. Throws `BrowseImageUnusableError`. */
export async function openBrowseImage(folder: string): Promise<BrowseImage> {
  const manifest = await manifestIn(folder);
  if (!manifest.drivers.some(({ name }) => name === CHANNEL_DRIVER))
    throw new BrowseImageUnusableError(`the boot image in ${folder} is older than \`causeway browse\``);
  return {
    kernel: join(folder, FILES.kernel),
    ramDisk: join(folder, FILES.ramDisk),
    memoryMiB: manifest.memoryMiB,
    commandLine: `${manifest.commandLine} causeway.browse=1 causeway.deadline=0`,
    verify: (file, location) => verifyFile(manifest, FILES[file], location),
  };
}

async function manifestIn(folder: string): Promise<FullManifest> {
  const path = join(folder, MANIFEST_FILE);
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw new BrowseImageUnusableError(`${folder} is not the folder of a boot image`, { cause: error });
  });
  const parsed = fullManifest.safeParse(jsonIn(text));
  if (parsed.success) return parsed.data;
  throw new BrowseImageUnusableError(`${path} has an unknown format`);
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
