import { createHash } from "node:crypto";
import * as z from "zod";
import { BootImageManifest as KnownToAll, Sha256 } from "#shared/protocol/boot-image.ts";

const driver = z.object({
  /** As in `lsmod`. */
  name: z.string(),
  /** `dependency`: in the image because another driver needs it. */
  kind: z.enum(["network", "disk", "file-system", "volume", "bus", "watchdog", "crypto", "dependency"]),
  builtIn: z.boolean(),
  /**
   * The Debian package with the firmware that the driver needs and the image lacks: without it the driver
   * does nothing.
   */
  lacksFirmware: z.string().optional(),
});
export type Driver = z.infer<typeof driver>;

/**
 * What a boot image contains: everything that went into it, and each of its files. It has no time and no path
 * of the build machine.
 */
export const fullManifest = KnownToAll.extend({
  nodeVersion: z.string(),
  /** What a boot loader passes to the kernel for an unattended run; a job's loader adds to it. */
  commandLine: z.string(),
  /** The modification time of the image's files: seconds since 1970. */
  sourceDateEpoch: z.int().nonnegative(),
  packages: z.array(z.object({ name: z.string(), version: z.string(), sha256: Sha256 })),
  programs: z.array(z.string()),
  firmware: z.array(z.string()),
  drivers: z.array(driver),
});
export type FullManifest = z.infer<typeof fullManifest>;

/** The bytes that are hashed and signed: the same manifest always gives the same bytes. */
export function encodeManifest(manifest: z.input<typeof fullManifest>): Buffer {
  return Buffer.from(`${JSON.stringify(fullManifest.parse(manifest), null, 1)}\n`, "utf8");
}

/** A boot image's id: the hash of its manifest, which contains the hashes of everything else. */
export function imageId(manifestBytes: Uint8Array): string {
  return createHash("sha256").update(manifestBytes).digest("hex");
}
