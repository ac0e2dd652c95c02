import type { Log } from "#shared/log.ts";
import type { Inventory } from "#shared/protocol/inventory.ts";
import { Agent } from "../agent.ts";
import { openAgentCloud } from "../cloud/agent-cloud.ts";
import { forgetCaptures } from "../commands/captures.ts";
import type { Executors } from "../commands/executor.ts";
import { releaseExecutor } from "../commands/release.ts";
import { diskUsageOf } from "../filesystems/disk-usage.ts";
import type { Identity } from "../identity/identity.ts";
import type { Machine } from "../machine/machine.ts";
import { captureExecutors } from "../roles/source.ts";

export interface HandStartedAgentOptions {
  identity: Identity;
  version: string;
  dataDir: string;
  machine: Pick<Machine, "run">;
  takeInventory: () => Promise<Inventory>;
  bootId: () => Promise<string>;
  /**
   * The control plane has stored a recovery point with all disks, so the conversion no longer needs this
   * machine.
   */
  onCaptured: () => void;
  log: Log;
  now: () => Date;
  random: () => number;
}

/** The agent of an approved machine that was started by hand: reads disks and changes nothing. */
export function handStartedAgent(options: HandStartedAgentOptions): Agent {
  const { identity, version, dataDir, machine, takeInventory, bootId, onCaptured, log, now, random } =
    options;
  const cloud = openAgentCloud(identity, { now, random, log });
  const capturing = captureExecutors({
    identity,
    cloud,
    version,
    dataDir,
    // Nothing is mounted, and no other program uses the disks.
    disks: async () => (await takeInventory()).disks.map((disk) => ({ ...disk, isStill: true })),
    usage: ({ path }) => diskUsageOf(path, machine),
  });
  const commits = new Set<string>();
  const executors: Executors = {
    ...capturing,
    "take-recovery-point": async (input, context) => {
      const taken = await capturing["take-recovery-point"](input, context);
      commits.add(context.commandId);
      return taken;
    },
    "take-inventory": async () => ({ inventory: await takeInventory() }),
    release: releaseExecutor((conversionId) => forgetCaptures(dataDir, conversionId)),
  };
  return new Agent({
    ...{ identity, cloud, version, dataDir, executors, takeInventory, log, now, random },
    environment: "boot-environment",
    bootId,
    onAcknowledged: (commandId) => {
      if (commits.delete(commandId)) onCaptured();
    },
  });
}
