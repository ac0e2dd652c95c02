import { createHash } from "node:crypto";
import { z } from "zod";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const driver = z.object({
  /** As in `lsmod`. */
  name: z.string(),
  /** `dependency`: here because another needs it. */
  kind: z.enum(["network", "disk", "file-system", "volume", "bus", "watchdog", "crypto", "dependency"]),
  builtIn: z.boolean(),
  /** The driver does nothing on this image: it needs firmware, from this Debian package, that is not in it. */
  lacksFirmware: z.string().optional(),
});
export type Driver = z.infer<typeof driver>;

const file = z.object({ path: z.string(), sizeBytes: z.int().nonnegative(), sha256 });
export type ImageFile = z.infer<typeof file>;

/** What a boot image is: everything that made it, and every file it has. No time and no path of the machine that built it. */
export const bootImageManifest = z.object({
  format: z.literal(1),
  architecture: z.literal("x86_64"),
  causewayVersion: z.string(),
  nodeVersion: z.string(),
  kernelRelease: z.string(),
  /** What a boot loader passes to the kernel for an unattended run; loaders of a job add to it. */
  commandLine: z.string(),
  /** The least memory a machine needs to run it. */
  memoryMiB: z.int().positive(),
  /** The time that files of the image carry: seconds since 1970. */
  sourceDateEpoch: z.int().nonnegative(),
  packages: z.array(z.object({ name: z.string(), version: z.string(), sha256 })),
  programs: z.array(z.string()),
  firmware: z.array(z.string()),
  drivers: z.array(driver),
  files: z.array(file),
});
export type BootImageManifest = z.infer<typeof bootImageManifest>;

/** The bytes that are hashed and signed: the same manifest always gives the same. */
export function encodeManifest(manifest: BootImageManifest): Buffer {
  return Buffer.from(`${JSON.stringify(bootImageManifest.parse(manifest), null, 1)}\n`, "utf8");
}

/** The name of a boot image: the hash of its manifest, which has the hash of all else. */
export function imageId(manifestBytes: Uint8Array): string {
  return createHash("sha256").update(manifestBytes).digest("hex");
}
