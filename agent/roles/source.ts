import type { Inventory } from "#shared/protocol/inventory.ts";
import { linuxAdapters } from "../boot-loaders/choose.ts";
import { type AgentCloud, once } from "../cloud/agent-cloud.ts";
import { openOwnRepository } from "../cloud/own-repository.ts";
import { type CaptureDeps, captureDiskExecutor, capturesDir } from "../commands/capture-disk.ts";
import { commitRecoveryPointExecutor } from "../commands/commit-recovery-point.ts";
import type { Executors } from "../commands/executor.ts";
import { releaseExecutor } from "../commands/release.ts";
import type { Identity } from "../identity/identity.ts";
import type { BootMachine } from "../machine/boot-machine.ts";
import { BootImageCache } from "../remote-cold/boot-image-cache.ts";
import { coldExecutors, disarm } from "../remote-cold/cold-executors.ts";
import type { Restarter } from "../remote-cold/restarter.ts";
import { SavedStates } from "../remote-cold/saved-states.ts";

export interface SourceRoleOptions extends Pick<CaptureDeps, "disks" | "usedExtents"> {
  identity: Identity;
  cloud: AgentCloud;
  version: string;
  dataDir: string;
  machine: BootMachine;
  restarter: Restarter;
  takeInventory: () => Promise<Inventory>;
  /** Throws if boot images signed with this key may not be started here. */
  trustImageKey: (publicKeyPem: string) => Promise<void>;
  now: () => Date;
}

/** Boot images are kept in memory: what lies on the disk would become a part of the clone. */
const IMAGES_DIR = "/run/causeway/boot-images";

/** What a source server does in its own system: captures disks, and arms itself for a cold clone. */
export function sourceExecutors(options: SourceRoleOptions): Executors {
  const { identity, cloud, version, dataDir, machine, takeInventory, now } = options;
  const states = new SavedStates(dataDir, cloud.store, identity.enrolment.agentId);
  const images = new BootImageCache(IMAGES_DIR, cloud.store, options.trustImageKey);
  const adapters = linuxAdapters(machine);
  const release = releaseExecutor((conversionId) => capturesDir(dataDir, conversionId));
  return {
    "take-inventory": async () => ({ inventory: await takeInventory() }),
    ...captureExecutors(options),
    ...coldExecutors({
      machine,
      adapters,
      images,
      states,
      identity,
      agentVersion: version,
      takeInventory,
      now,
    }),
    reboot: options.restarter.executor,
    release: async (input, context) => {
      await disarm({ machine, states }, input.conversionId);
      await states.forget(input.conversionId);
      return release(input, context);
    },
  };
}

/** Reading disks and making them a recovery point: alike in both systems. */
export function captureExecutors({
  identity,
  cloud,
  version,
  dataDir,
  disks,
  usedExtents,
}: Pick<SourceRoleOptions, "identity" | "cloud" | "version" | "dataDir" | "disks" | "usedExtents">): Required<
  Pick<Executors, "capture-disk" | "commit-recovery-point">
> {
  const repository = once(() => openOwnRepository(identity, cloud));
  return {
    "capture-disk": captureDiskExecutor({ disks, usedExtents, repository, dataDir, now: cloud.now }),
    "commit-recovery-point": commitRecoveryPointExecutor({
      repository,
      dataDir,
      agentVersion: version,
      now: cloud.now,
    }),
  };
}
