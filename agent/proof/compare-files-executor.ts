import { isOfItsSystem, signProofReceipt } from "#shared/domain/proof-receipt.ts";
import type { CommandInput, CommandOutput } from "#shared/protocol/commands.ts";
import type { ComparedFiles, ProofReceipt } from "#shared/protocol/proof.ts";
import type { DiskKey } from "../adapt/disk-key.ts";
import { NoBootImageError } from "../browse/errors.ts";
import type { SavedStarts } from "../browse/saved-starts.ts";
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
  savedStarts?: Pick<SavedStarts, "start"> | undefined;
  /** This host's, which signs what it found. */
  agent: { id: string; version: string; keyPem: string; certificatePem: string };
  now: () => Date;
}

/** Compares the files of written disks with those that their source's agent has listed. */
export function compareFilesExecutor(deps: CompareFilesDeps): Executor<"compare-files"> {
  return async (input, { signal }): Promise<CommandOutput<"compare-files">> => {
    const { bootImageDir, images, repository, diskKeys, compare, savedStarts } = deps;
    if (bootImageDir === undefined) throw new NoBootImageError();
    const startedAt = performance.now();
    const { folder, disks } = await images.require(input);
    const keys = await diskKeys(input.sourceId);
    const { result, bootImageId } = await compare(
      { imageFolder: bootImageDir, workDir: folder, disks, keys, savedStarts, signal },
      { repository: await repository(input.ownerId), list: input.list },
    );
    const compared = { ...result, seconds: (performance.now() - startedAt) / 1000 };
    return { ...compared, ...signedBy(deps, input, { compared, bootImageId }) };
  };
}

/**
 * Nothing of an earlier control plane, which does not say what the source came to, or of a source that says
 * something else than its recovery point.
 */
function signedBy(
  { agent, now }: CompareFilesDeps,
  { ownerId, sourceId, pointId, frozenFrom, hashed, list }: CommandInput<"compare-files">,
  { compared, bootImageId }: { compared: ComparedFiles; bootImageId: string },
): { receipt?: ProofReceipt } {
  if (hashed === undefined || !isOfItsSystem(hashed, frozenFrom)) return {};
  const receipt = signProofReceipt(
    { ownerId, sourceId, pointId, frozenFrom, agentId: agent.id, hashed: { ...hashed, list }, compared },
    { agentVersion: agent.version, bootImageId, comparedAt: now().toISOString() },
    agent,
  );
  return { receipt };
}
