import { join } from "node:path";
import * as z from "zod";
import { AssemblyError } from "./assembly-error.ts";
import { readJson } from "./json-file.ts";

const AssetManifest = z.object({
  files: z.record(
    z.string(),
    z.object({
      source: z.object({ path: z.string(), packaging: z.string() }),
      destinations: z.record(z.string(), z.object({ objectKey: z.string() })),
    }),
  ),
  dockerImages: z.record(z.string(), z.unknown()).optional(),
});

/** Finds the files that `cdk deploy` would upload to the bootstrap bucket. */
export class Assets {
  readonly #paths = new Map<string, string>();

  /** Adds the assets of one `*.assets.json` file in the assembly directory. */
  async addManifest(directory: string, file: string): Promise<void> {
    const manifest = await readJson(join(directory, file), AssetManifest);
    if (Object.keys(manifest.dockerImages ?? {}).length > 0) {
      throw new AssemblyError(`${file} has container image assets, which the embedded cloud cannot run`);
    }
    for (const asset of Object.values(manifest.files)) {
      const path = join(directory, asset.source.path);
      for (const destination of Object.values(asset.destinations)) {
        this.#paths.set(destination.objectKey, path);
      }
    }
  }

  /** Returns the absolute path of the directory or file that CDK would upload under this S3 key. */
  directoryFor(s3Key: string): string {
    const path = this.#paths.get(s3Key);
    if (path === undefined) throw new AssemblyError(`the assembly has no asset with the key ${s3Key}`);
    return path;
  }
}
