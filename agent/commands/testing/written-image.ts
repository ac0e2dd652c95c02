/** For tests: a target host that has written one disk for `cnv_1`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type * as z from "zod";
import type { CommandInput } from "#shared/protocol/commands.ts";
import { AgentRecords, recordKeyOf } from "../agent-records.ts";
import { ConversionImages, WrittenImages } from "../conversion-images.ts";

interface WrittenImage {
  images: ConversionImages;
  /** As commands name it. */
  disk: CommandInput<"define-machine">["disks"][number];
  /** The host's records of another kind. */
  recordsIn: <T>(folder: string, schema: z.ZodType<T>) => AgentRecords<T>;
}

export async function writtenImage(dir: string, content: string | Buffer): Promise<WrittenImage> {
  const key = recordKeyOf({ keyPem: "key" });
  const recordsIn = <T>(folder: string, schema: z.ZodType<T>) =>
    new AgentRecords({ dataDir: dir, suffix: ".json", key, folder, schema });
  const images = new ConversionImages(join(dir, "images"), recordsIn("written-images", WrittenImages));
  const disk = { name: "sda", sizeBytes: 2 ** 20 };
  const written = { sourceId: "agt_1", pointId: "rp_1", format: "raw" as const, disks: [disk] };
  await images.begin("cnv_1", written);
  const path = images.pathOf("cnv_1", "sda", "raw");
  writeFileSync(path, content);
  await images.finish("cnv_1", written);
  return { images, recordsIn, disk: { ...disk, path, format: "raw" } };
}
