import type { WrittenDisk } from "#shared/protocol/written-disk.ts";
import { bytes } from "#shared/units.ts";
import { oneLine } from "../terminal.ts";

/** One line. */
export function describeDisk({ name, path, format, sizeBytes }: WrittenDisk): string {
  return oneLine(`${name}: ${path} (${format}, ${bytes(sizeBytes)})`);
}
