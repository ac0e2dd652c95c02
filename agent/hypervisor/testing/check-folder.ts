import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import type { BootCheckOptions } from "../boot-check.ts";

/** A folder for each test of the calling file, and the options of a boot check in it. */
export function useCheckFolder() {
  const place = {
    folder: "",
    /** `sizeBytes`: the size of the disk, which is longer than what is written to it. */
    async optionsFor(
      disk: Buffer,
      { sizeBytes = disk.length, ...more }: Partial<BootCheckOptions> & { sizeBytes?: number } = {},
    ): Promise<BootCheckOptions> {
      const path = join(place.folder, "disk.raw");
      await writeFile(path, disk, { mode: 0o600 });
      await truncate(path, sizeBytes);
      return {
        ownerId: "cnv_1",
        disks: [{ path, format: "raw" }],
        firmware: "bios",
        memoryMiB: 64,
        cpuCount: 1,
        timeoutSeconds: 60,
        workDir: join(place.folder, "check"),
        now: () => performance.now(),
        signal: new AbortController().signal,
        ...more,
      };
    },
  };
  beforeEach(async () => {
    place.folder = await mkdtemp(join(tmpdir(), "boot-check-"));
  });
  afterEach(() => rm(place.folder, { recursive: true, force: true }));
  return place;
}
