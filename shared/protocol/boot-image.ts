/**
 * A boot image: a kernel and a RAM disk with the agent, in several forms. It is named by the hash of its
 * manifest, which has the hash of every other file, and the manifest is signed.
 */
import * as z from "zod";
import { Timestamp } from "./common.ts";
import { ObjectKey } from "./ids.ts";

export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, "64 hexadecimal digits, lower case");

/** The forms that an agent stages on a disk. An image can have others, such as a CD. */
export const KERNEL_FILE = "vmlinuz";
export const INITRD_FILE = "initrd.zst";
export const UNIFIED_KERNEL_FILE = "causeway.efi";
/** The kernel as an ELF executable, for guests: unpacking itself would take it seconds under emulation. */
export const GUEST_KERNEL_FILE = "vmlinux.zst";
/** The RAM disk's network scripts, which the source rehearses. */
export const NETWORK_SCRIPTS_FILE = "network-scripts.json";
/** The file whose hash is the image's name, and that is signed. */
export const MANIFEST_FILE = "manifest.json";

/** The prefix of boot images in the bucket. */
export const BOOT_IMAGES_PREFIX = "boot-images/";

/** The key of one of an image's files. */
export function bootImageKey(id: string, path: string): string {
  return `${BOOT_IMAGES_PREFIX}${id}/${path}`;
}

const Driver = z.object({
  /** As in `lsmod`. */
  name: z.string(),
  /** `network`, `disk`, `file-system`, …; `dependency` if only another driver needs it. */
  kind: z.string(),
  /** The package of the firmware that the driver needs and the image lacks. The driver does not work. */
  lacksFirmware: z.string().optional(),
});

const ImageFile = z.object({
  path: z
    .string()
    .max(200)
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/),
  sizeBytes: z.int().nonnegative(),
  sha256: Sha256,
});
export type BootImageFile = z.infer<typeof ImageFile>;

/** The part of a manifest that the control plane reads. The builder may write more. */
export const BootImageManifest = z.object({
  format: z.literal(1),
  architecture: z.string(),
  causewayVersion: z.string(),
  kernelRelease: z.string(),
  /** The least memory that a machine needs to run it. */
  memoryMiB: z.int().positive(),
  /** `windows-pe` gives its RAM disk the drive letter X. */
  system: z.enum(["linux", "windows-pe"]).default("linux"),
  /** Whether its forms for UEFI have a signature that firmware with Secure Boot accepts. */
  secureBootSigned: z.boolean().default(false),
  drivers: z.array(Driver).max(5000),
  files: z.array(ImageFile).min(1).max(64),
});
export type BootImageManifest = z.infer<typeof BootImageManifest>;

export const NewBootImage = z.strictObject({
  /** The manifest's exact bytes, as text. */
  manifest: z.string().min(1).max(1_000_000),
  /** Ed25519 over the manifest. */
  signatureBase64: z.base64().min(1).max(200),
  /** The key that signed; SPKI, PEM. */
  publicKeyPem: z.string().min(1).max(1000),
});
export type NewBootImage = z.infer<typeof NewBootImage>;

export const BootImage = z.object({
  id: Sha256,
  /** `incomplete` until every file is there; only a complete image is used. */
  state: z.enum(["incomplete", "complete"]),
  causewayVersion: z.string(),
  kernelRelease: z.string(),
  architecture: z.string(),
  system: BootImageManifest.shape.system,
  secureBootSigned: z.boolean(),
  memoryMiB: z.int(),
  files: z.array(ImageFile),
  /** Names of the network and disk drivers that work on it. */
  drivers: z.array(z.string()),
  /** SHA-256 of the key that signed it (SPKI, DER). */
  signedBy: Sha256,
  createdBy: z.string(),
  createdAt: Timestamp,
  completedAt: Timestamp.optional(),
});
export type BootImage = z.infer<typeof BootImage>;

/** Where to upload a new image's files, and the credentials to do so. */
export const BootImageUpload = z.object({
  image: BootImage,
  bucket: z.string(),
  /**
   * Ends with a slash. Append each file's path, and the manifest's. Each object needs its SHA-256 as S3's
   * checksum.
   */
  prefix: z.string(),
  region: z.string(),
  /** Absent on AWS, where the SDK knows it. */
  endpoint: z.string().optional(),
  credentials: z.object({
    accessKeyId: z.string(),
    secretAccessKey: z.string(),
    sessionToken: z.string(),
    expiresAt: Timestamp,
  }),
});
export type BootImageUpload = z.infer<typeof BootImageUpload>;

/** A boot image as an agent gets it. The agent accepts the signature only if it trusts the key. */
export const BootImageReference = z.object({
  id: Sha256,
  /** Keys in the bucket. */
  manifestKey: ObjectKey,
  signatureBase64: z.base64().max(200),
  publicKeyPem: z.string().max(1000),
  /** As in the manifest. If it differs, the agent treats the image as damaged. */
  secureBootSigned: z.boolean().default(false),
  files: z
    .array(
      z.object({
        name: ImageFile.shape.path,
        key: ObjectKey,
        sizeBytes: z.int().nonnegative(),
        sha256: Sha256,
      }),
    )
    .max(64),
});
export type BootImageReference = z.infer<typeof BootImageReference>;
