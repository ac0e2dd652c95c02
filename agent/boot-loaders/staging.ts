import { posix } from "node:path";
import { BootImageInvalidError, BootImageUnavailableError, DiskFullError } from "#shared/errors.ts";
import { MANIFEST_FILE } from "#shared/protocol/boot-image.ts";
import type { FullManifest } from "../boot-image/manifest.ts";
import { SIGNATURE_FILE, verifyManifest } from "../boot-image/signature.ts";
import { appendToInitrd } from "../boot-image/unified-kernel-image.ts";
import type { BootMachine } from "../machine/boot-machine.ts";
import { eraseFile } from "../machine/durable.ts";
import type { ArmingNeed } from "./arming-need.ts";
import { sha256 } from "./save.ts";

/**
 * `kernel-and-initrd`: for boot loaders; `unified-kernel`: one file for the firmware, with the job's overlay
 * in it; `windows-ramdisk`: a Windows PE image, for the Windows boot manager on BIOS.
 */
export type ImageForm = "kernel-and-initrd" | "unified-kernel" | "windows-ramdisk";

interface StagedFile {
  name: string;
  /** The boot image's file; absent for the overlay. */
  source?: string;
  /** Whether it contains the job's identity. */
  secret: boolean;
}

const FILES: Readonly<Record<ImageForm, readonly StagedFile[]>> = {
  "kernel-and-initrd": [
    { name: "vmlinuz", source: "vmlinuz", secret: false },
    { name: "initrd.zst", source: "initrd.zst", secret: false },
    { name: "overlay.cpio", secret: true },
  ],
  "unified-kernel": [{ name: "causeway.efi", source: "causeway.efi", secret: true }],
  "windows-ramdisk": [
    { name: "boot.wim", source: "boot.wim", secret: false },
    { name: "boot.sdi", source: "boot.sdi", secret: false },
    { name: "overlay.cpio", secret: true },
  ],
};

/** For folders, entries and journals of the file system. */
const SPARE_BYTES = 4 * 2 ** 20;

/** A boot image on the machine's disk, complete and checked. */
export interface StagedImage {
  jobId: string;
  form: ImageForm;
  /** Absolute path. */
  folder: string;
  /** For the kernel. */
  commandLine: string;
}

/** The absolute paths of a staged image's files. */
export function stagedPaths(form: ImageForm, folder: string): { path: string; secret: boolean }[] {
  return FILES[form].map(({ name, secret }) => ({ path: posix.join(folder, name), secret }));
}

export function stagedPath(staged: Pick<StagedImage, "form" | "folder">, name: string): string {
  if (!FILES[staged.form].some((file) => file.name === name)) throw new RangeError(`${name} is not staged`);
  return posix.join(staged.folder, name);
}

/** How much space a form takes on its file system, with some to spare. */
export function stagedBytes(form: ImageForm, need: ArmingNeed): number {
  const imageBytes = {
    "kernel-and-initrd": need.kernelBytes + need.initrdBytes,
    "unified-kernel": need.unifiedKernelBytes,
    "windows-ramdisk": need.windowsImageBytes ?? 0,
  };
  return imageBytes[form] + need.overlayBytes + SPARE_BYTES;
}

/** The folder of one job, below Causeway's own: `/boot/causeway/JOB`, `/boot/efi/EFI/causeway/JOB`. */
export function stagingFolder(parent: string, jobId: string): string {
  return posix.join(parent, "causeway", jobId);
}

export interface StagingRequest {
  jobId: string;
  form: ImageForm;
  folder: string;
  /** Holds the boot image as it was built: manifest, signature, files. */
  imageDir: string;
  imageId: string;
  /** PEM, Ed25519: the key whose images may be started here. */
  publicKey: string;
  /** An archive as `writeOverlay` makes it. */
  overlay: Buffer;
  /** Added to the image's own command line. */
  kernelArguments: readonly string[];
}

/**
 * Puts the boot image where the boot loader finds it. Before it writes anything, it checks the signature, the
 * id, the hash of each file it needs (`BootImageInvalidError`, `BootImageUnavailableError`) and the free
 * space (`DiskFullError`). Only root may read files with the identity. Removes what an interrupted call left
 * first.
 */
export async function stage(machine: BootMachine, request: StagingRequest): Promise<StagedImage> {
  const { form, folder, imageDir, overlay } = request;
  const manifest = await readManifest(machine, request);
  await verifyFiles(manifest, machine, request);
  await unstage(machine, form, folder);
  await checkSpace(machine, request, manifest);
  await makeFolders(machine, folder);
  for (const { name, source, secret } of FILES[form]) {
    const path = posix.join(folder, name);
    const mode = secret ? 0o600 : 0o644;
    if (source === undefined) await machine.create(path, overlay, mode);
    else if (secret)
      await stageUnifiedKernel(machine, { from: posix.join(imageDir, source), path, request, manifest });
    else
      await copyChecked(machine, {
        from: posix.join(imageDir, source),
        path,
        mode,
        expected: hashOf(manifest, source),
      });
  }
  return stagedImage(request, manifest);
}

/** What `stage` will return; checks only the manifest, and writes nothing. */
export async function planStaging(machine: BootMachine, request: ImageRequest): Promise<StagedImage> {
  return stagedImage(request, await readManifest(machine, request));
}

type ImageRequest = Omit<StagingRequest, "overlay">;

function stagedImage(
  { jobId, form, folder, kernelArguments }: ImageRequest,
  { commandLine }: FullManifest,
): StagedImage {
  return { jobId, form, folder, commandLine: [commandLine, ...kernelArguments].join(" ") };
}

/**
 * Removes what was staged, even if incomplete; overwrites the secret parts first. Also removes Causeway's
 * folder once it is empty.
 */
export async function unstage(machine: BootMachine, form: ImageForm, folder: string): Promise<void> {
  for (const { path, secret } of stagedPaths(form, folder)) await eraseFile(machine, path, secret);
  if (await machine.removeFolder(folder)) await machine.removeFolder(posix.dirname(folder));
}

async function readManifest(
  machine: BootMachine,
  { imageDir, imageId, publicKey }: ImageRequest,
): Promise<FullManifest> {
  const bytes = await machine.contents(posix.join(imageDir, MANIFEST_FILE));
  const signature = await machine.contents(posix.join(imageDir, SIGNATURE_FILE));
  if (!bytes || !signature) throw new BootImageUnavailableError(imageId, imageDir);
  return verifyManifest(bytes, signature, publicKey, imageId);
}

async function verifyFiles(
  manifest: FullManifest,
  machine: BootMachine,
  { imageDir, imageId, form }: ImageRequest,
): Promise<void> {
  for (const { source } of FILES[form]) {
    if (source === undefined) continue;
    const path = posix.join(imageDir, source);
    const sha256 = await machine.hash(path);
    if (sha256 === undefined) throw new BootImageUnavailableError(imageId, path);
    if (sha256 !== hashOf(manifest, source))
      throw new BootImageInvalidError(`${source} does not match the boot image's manifest`);
  }
}

async function checkSpace(
  machine: BootMachine,
  { folder, form, overlay }: StagingRequest,
  manifest: FullManifest,
): Promise<void> {
  const sources = FILES[form].flatMap(({ source }) => source ?? []);
  const imageBytes = manifest.files
    .filter(({ path }) => sources.includes(path))
    .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const neededBytes = imageBytes + overlay.length + SPARE_BYTES;
  const freeBytes = (await machine.freeBytes(await existingParent(machine, folder))) ?? 0;
  if (freeBytes < neededBytes) throw new DiskFullError(folder, neededBytes, freeBytes);
}

async function existingParent(machine: BootMachine, path: string): Promise<string> {
  return path === "/" || (await machine.status(path)) ? path : existingParent(machine, posix.dirname(path));
}

async function makeFolders(machine: BootMachine, folder: string): Promise<void> {
  for (const path of [posix.dirname(folder), folder]) {
    if (!(await machine.status(path))) await machine.makeFolder(path, 0o700);
  }
}

interface Copy {
  from: string;
  path: string;
}

/** The image was checked; the written copy is checked too, because the file may have changed in between. */
async function copyChecked(
  machine: BootMachine,
  { from, path, mode, expected }: Copy & { mode: number; expected: string },
): Promise<void> {
  await machine.copy(from, path, mode);
  if ((await machine.hash(path)) === expected) return;
  await machine.unlink(path);
  throw new BootImageInvalidError(`${from} changed while it was copied`);
}

/**
 * The overlay becomes a part of the RAM disk inside: firmware starts one file and loads nothing beside it.
 */
async function stageUnifiedKernel(
  machine: BootMachine,
  { from, path, request, manifest }: Copy & { request: StagingRequest; manifest: FullManifest },
): Promise<void> {
  const image = await machine.contents(from);
  if (!image) throw new BootImageUnavailableError(request.imageId, from);
  if (sha256(image) !== hashOf(manifest, posix.basename(from))) {
    throw new BootImageInvalidError(`${from} changed while it was copied`);
  }
  const unified = appendToInitrd(image, request.overlay);
  await machine.create(path, unified, 0o600);
  if ((await machine.hash(path)) !== sha256(unified)) {
    throw new BootImageInvalidError(`${path} does not read back as it was written`);
  }
}

function hashOf(manifest: FullManifest, path: string): string {
  const file = manifest.files.find((each) => each.path === path);
  if (!file) throw new BootImageInvalidError(`the boot image has no ${path}`);
  return file.sha256;
}
