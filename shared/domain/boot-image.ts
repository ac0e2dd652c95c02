/** A boot image as the control plane stores it. */
import * as z from "zod";
import { WrongStateError } from "../errors.ts";
import {
  BootImage,
  type BootImageFile,
  type BootImageManifest,
  type BootImageReference,
  bootImageKey,
  MANIFEST_FILE,
} from "../protocol/boot-image.ts";

export const BootImageRecord = BootImage.omit({ drivers: true }).extend({
  /** Size of the manifest, which is itself a file of the image. */
  manifestBytes: z.int().positive(),
  signatureBase64: z.string(),
  publicKeyPem: z.string(),
  drivers: z.array(z.object({ name: z.string(), lacksFirmware: z.string().optional() })),
  version: z.int(),
});
export type BootImageRecord = z.infer<typeof BootImageRecord>;

export function newBootImage(
  manifest: BootImageManifest,
  given: Pick<
    BootImageRecord,
    "id" | "manifestBytes" | "signatureBase64" | "publicKeyPem" | "signedBy" | "createdBy" | "createdAt"
  >,
): BootImageRecord {
  const { architecture, causewayVersion, kernelRelease, memoryMiB, system, secureBootSigned } = manifest;
  return {
    ...given,
    state: "incomplete",
    architecture,
    causewayVersion,
    kernelRelease,
    memoryMiB,
    system,
    secureBootSigned,
    files: manifest.files,
    drivers: manifest.drivers.map(({ name, lacksFirmware }) => ({ name, lacksFirmware })),
    version: 0,
  };
}

/** The image, marked complete. Repeating it changes nothing. */
export function completedImage(image: BootImageRecord, now: string): BootImageRecord {
  return image.state === "complete" ? image : { ...image, state: "complete", completedAt: now };
}

/** Everything that must be in the bucket. */
export function objectsOf(image: BootImageRecord): (BootImageFile & { key: string })[] {
  const manifest = { path: MANIFEST_FILE, sizeBytes: image.manifestBytes, sha256: image.id };
  return [...image.files, manifest].map((file) => ({ ...file, key: bootImageKey(image.id, file.path) }));
}

/** The image as an agent gets it. Throws `WrongStateError` if the image is not complete. */
export function referenceTo(image: BootImageRecord): BootImageReference {
  if (image.state !== "complete") throw new WrongStateError(`boot image ${image.id} is not complete`);
  const { id, signatureBase64, publicKeyPem, secureBootSigned, files } = image;
  return {
    id,
    manifestKey: bootImageKey(id, MANIFEST_FILE),
    signatureBase64,
    publicKeyPem,
    secureBootSigned,
    files: files.map(({ path, sizeBytes, sha256 }) => ({
      name: path,
      key: bootImageKey(id, path),
      sizeBytes,
      sha256,
    })),
  };
}

/** The image as the API shows it. */
export function shownBootImage(image: BootImageRecord): BootImage {
  const drivers = image.drivers.filter(({ lacksFirmware }) => !lacksFirmware).map(({ name }) => name);
  return BootImage.parse({ ...image, drivers });
}
