/**
 * For killed-machine.ts: an agent without its link, which takes the recovery points that its parent orders,
 * until it is killed. The arguments are the tracked device, the tracker's program, its pin folder, and the
 * agent's data folder.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { takeRecoveryPointExecutor } from "#agent/commands/take-recovery-point.ts";
import { inconsistentView } from "#agent/consistency/inconsistent.ts";
import { preCopyView } from "#agent/consistency/pre-copy/pre-copy.ts";
import { stillView } from "#agent/consistency/still.ts";
import { PendingHooks } from "#agent/hooks/pending-hooks.ts";
import { obtainDataKey } from "#agent/repository/data-key.ts";
import { SealedKeys } from "#agent/repository/testing/sealed-keys.ts";
import { S3Store } from "#agent/store/s3-store.ts";
import { TrackerHelper } from "#agent/tracking/helper.ts";
import type { TakenPoint } from "#shared/protocol/taken-point.ts";
import type { RepositoryAccess } from "../repository-world.ts";

/** What the parent orders. */
export interface Order {
  pointId: string;
  /** Names the copy of the disk that is made before each thaw. */
  attempt: string;
  access: RepositoryAccess;
}
/** What it gets for each order. */
export type Answer = { taken: TakenPoint } | { failed: string };

const [device = "", program = "", pinFolder = "", dataDir = ""] = process.argv.slice(2);
const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
const tracker = new TrackerHelper(program, { pinFolder });
const log = { info: () => {}, warn: () => {}, error: () => {} };
const hooks = { folder: join(dataDir, "no-hooks"), pending: new PendingHooks(dataDir), log };

async function take({ pointId, attempt, access }: Order): Promise<TakenPoint> {
  const { sourceId, masterKey, aheadMs, credentials, ...bucket } = access;
  const now = () => Date.now() + aheadMs;
  const store = new S3Store({ ...bucket, credentials: async () => credentials, now });
  const dataKey = await obtainDataKey(store, new SealedKeys(Buffer.from(masterKey, "hex")), sourceId);
  process.env.ATTEMPT = attempt;
  const executor = takeRecoveryPointExecutor({
    disks: async () => [{ name: "sda", path: device, isStill: false }],
    repository: async () => ({ sourceId, store, dataKey }),
    views: {
      still: stillView({ usage: () => Promise.reject(new Error("the disk is not still")) }),
      "pre-copy": preCopyView({ tracker, dataDir, bootId, now, hooks }),
      inconsistent: inconsistentView,
    },
    ...{ dataDir, agentVersion: "1", requests: () => store.requests, now, random: Math.random },
  });
  try {
    return await executor(
      { ownerId: `run_${pointId}`, pointId, disks: ["sda"], allBlocks: false, allowInconsistent: false },
      {
        ...{ commandId: "c", requestedBy: "ada", signal: new AbortController().signal },
        ...{ progress: () => {}, machineChanged: () => {}, retract: async () => undefined },
      },
    );
  } finally {
    store.close();
  }
}

process.on("message", (order: Order) => {
  take(order).then(
    (taken) => process.send?.({ taken } satisfies Answer),
    (error: unknown) => process.send?.({ failed: String(error) } satisfies Answer),
  );
});
process.on("disconnect", () => process.exit());
process.send?.("ready");
