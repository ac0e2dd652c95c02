import type { Inventory } from "#shared/protocol/inventory.ts";
import { agentApi } from "../cloud/agent-api.ts";
import type { AgentCloud } from "../cloud/agent-cloud.ts";
import { openReadableRepository } from "../cloud/readable-repository.ts";
import { bootCheckExecutor } from "../commands/boot-check.ts";
import type { Executors } from "../commands/executor.ts";
import { conversionDir, materialiseExecutor } from "../commands/materialise.ts";
import { releaseExecutor } from "../commands/release.ts";
import { verifyExecutor } from "../commands/verify.ts";
import type { Identity } from "../identity/identity.ts";
import type { Repository } from "../repository/repository.ts";

export interface TargetRoleOptions {
  identity: Identity;
  cloud: AgentCloud;
  /** Where the images of virtual machines are kept. */
  imagesDir: string;
  takeInventory: () => Promise<Inventory>;
}

/** What a target host does: writes disks from recovery points, verifies them, and boots them to see. */
export function targetExecutors({ identity, cloud, imagesDir, takeInventory }: TargetRoleOptions): Executors {
  const { agentId, awsEndpoint } = identity.enrolment;
  const api = agentApi(identity, cloud);
  const repository = (conversionId: string): Promise<Repository> =>
    openReadableRepository({
      endpoint: awsEndpoint,
      requestAccess: () => api.openConversionData({ parameters: { id: conversionId } }),
      now: cloud.now,
      random: cloud.random,
    });
  return {
    "take-inventory": async () => ({ inventory: await takeInventory() }),
    materialise: materialiseExecutor({ repository, imagesDir }),
    verify: verifyExecutor({ repository }),
    "boot-check": bootCheckExecutor({ imagesDir, agentId, evidence: cloud.store }),
    release: releaseExecutor((conversionId) => conversionDir(imagesDir, conversionId)),
  };
}
