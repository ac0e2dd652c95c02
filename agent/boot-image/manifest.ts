import { createHash } from "node:crypto";
import { z } from "zod";
import { BootImageManifest as KnownToAll, Sha256 } from "#shared/protocol/boot-image.ts";

const driver = z.object({
  /** As in `lsmod`. */
  name: z.string(),
  /** `dependency`: here because another needs it. */
  kind: z.enum(["network", "disk", "file-system", "volume", "bus", "watchdog", "crypto", "dependency"]),
  builtIn: z.boolean(),
  /**
   * The driver does nothing on this image: it needs firmware, from this Debian package, that is not in it.
   */
  lacksFirmware: z.string().optional(),
});
export type Driver = z.infer<typeof driver>;

/**
 * What a boot image is: everything that made it, and every file it has. No time and no path of the machine
 * that built it.
 */
export const fullManifest = KnownToAll.extend({
  nodeVersion: z.string(),
  /** What a boot loader passes to the kernel for an unattended run; loaders of a job add to it. */
  commandLine: z.string(),
  /** The time that files of the image carry: seconds since 1970. */
  sourceDateEpoch: z.int().nonnegative(),
  packages: z.array(z.object({ name: z.string(), version: z.string(), sha256: Sha256 })),
  programs: z.array(z.string()),
  firmware: z.array(z.string()),
  drivers: z.array(driver),
});
export type FullManifest = z.infer<typeof fullManifest>;

/** The bytes that are hashed and signed: the same manifest always gives the same. */
export function encodeManifest(manifest: z.input<typeof fullManifest>): Buffer {
  return Buffer.from(`${JSON.stringify(fullManifest.parse(manifest), null, 1)}\n`, "utf8");
}

/** The name of a boot image: the hash of its manifest, which has the hash of all else. */
export function imageId(manifestBytes: Uint8Array): string {
  return createHash("sha256").update(manifestBytes).digest("hex");
}
