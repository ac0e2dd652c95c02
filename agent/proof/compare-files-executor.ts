import type { ComparedFiles } from "#shared/protocol/proof.ts";
import type { DiskKey } from "../adapt/disk-key.ts";
import { NoBootImageError } from "../browse/errors.ts";
import type { ConversionImages } from "../commands/conversion-images.ts";
import type { Executor } from "../commands/executor.ts";
import type { Repository } from "../repository/repository.ts";
import type { compareClone } from "./compare-clone.ts";

export interface CompareFilesDeps {
  /** The folder of a boot image, if the operator named one. */
  bootImageDir: string | undefined;
  images: Pick<ConversionImages, "require">;
  /** The repository of the source of an owner's disks, for reading. */
  repository: (ownerId: string) => Promise<Repository>;
  /** The keys for a source's encrypted volumes, if the administrator of this host has them. */
  diskKeys: (sourceId: string) => Promise<DiskKey[]>;
  compare: typeof compareClone;
}

/** Compares the files of written disks with those that their source's agent has listed. */
export function compareFilesExecutor(deps: CompareFilesDeps): Executor<"compare-files"> {
  return async (input, { signal }): Promise<ComparedFiles> => {
    const { bootImageDir, images, repository, diskKeys, compare } = deps;
    if (bootImageDir === undefined) throw new NoBootImageError();
    const startedAt = performance.now();
    const { folder, disks } = await images.require(input);
    const keys = await diskKeys(input.sourceId);
    const compared = await compare(
      { imageFolder: bootImageDir, workDir: folder, disks, keys, signal },
      { repository: await repository(input.ownerId), list: input.list },
    );
    return { ...compared, seconds: (performance.now() - startedAt) / 1000 };
  };
}
