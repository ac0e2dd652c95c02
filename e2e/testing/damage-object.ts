import { globSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * Changes an object's bytes (not its length) in the embedded cloud's folder, because its S3 never overwrites
 * an object.
 */
export async function damageObject(dataDir: string, key: string, content: Uint8Array): Promise<void> {
  const [file, ...others] = globSync(join(dataDir, "s3", "buckets", "*", `${key}@*`));
  if (!file || others.length > 0) throw new Error(`${key} is not one object`);
  await writeFile(file, content);
}
