import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Inventory } from "#shared/protocol/inventory.ts";
import type { AgentOptions } from "../agent.ts";
import { linuxAdapters } from "../boot-loaders/linux-loaders.ts";
import { judgeReturn } from "../boot-loaders/return/system-return.ts";
import { type AgentCloud, once } from "../cloud/agent-cloud.ts";
import { openOwnRepository } from "../cloud/own-repository.ts";
import { AfterAnswer } from "../commands/after-answer.ts";
import { recordKeyOf } from "../commands/agent-records.ts";
import { captureDiskExecutor } from "../commands/capture-disk.ts";
import { type CaptureDeps, forgetCaptures } from "../commands/captures.ts";
import { commitRecoveryPointExecutor } from "../commands/commit-recovery-point.ts";
import type { Executors } from "../commands/executor.ts";
import { releaseExecutor } from "../commands/release.ts";
import { takeRecoveryPointExecutor } from "../commands/take-recovery-point.ts";
import type { ConditionalView, LocalDisk } from "../consistency/consistent-view.ts";
import { inconsistentView } from "../consistency/inconsistent.ts";
import { flushMemory } from "../consistency/lvm-snapshot/flush-memory.ts";
import { KeptSnapshots } from "../consistency/lvm-snapshot/kept-snapshots.ts";
import { lvmSnapshotView } from "../consistency/lvm-snapshot/lvm-snapshot.ts";
import { LvmTools } from "../consistency/lvm-snapshot/lvm-tools.ts";
import { Snapshots } from "../consistency/lvm-snapshot/snapshots.ts";
import { choicesOf } from "../consistency/open-view.ts";
import { type PreCopyDeps, preCopyView } from "../consistency/pre-copy/pre-copy.ts";
import { type StillDeps, stillView } from "../consistency/still.ts";
import { FenceKeeper } from "../fence/fence-keeper.ts";
import { listedServices } from "../fence/listed-services.ts";
import { endingHooks, setFenceExecutor } from "../fence/set-fence.ts";
import { SwitchOff } from "../fence/switch-off.ts";
import { diskUsageOf } from "../filesystems/disk-usage.ts";
import { cutoverHooksOf } from "../hooks/cutover-hooks.ts";
import { HOOKS_FOLDER, runPendingHooks } from "../hooks/hooks.ts";
import { PendingHooks } from "../hooks/pending-hooks.ts";
import { localSystemctl } from "../hypervisor/qemu/service/systemctl.ts";
import { controlPlaneHosts } from "../identity/control-plane-hosts.ts";
import type { Identity } from "../identity/identity.ts";
import { DiskNames } from "../inventory/disk-names.ts";
import { isUnused } from "../inventory/disks.ts";
import { collectInventory, collectSeenMachine, type InventoryOptions } from "../inventory/inventory.ts";
import type { SeenMachine } from "../inventory/news.ts";
import { LocalMachine } from "../machine/machine.ts";
import { readBootId } from "../machine/system.ts";
import { type HashFilesDeps, hashFilesExecutor } from "../proof/hash-files-executor.ts";
import { hashInWorker } from "../proof/hash-in-worker.ts";
import { mountedTrees } from "../proof/mounted-trees.ts";
import { describeArming } from "../restart/arming.ts";
import { BootImageCache } from "../restart/boot-image-cache.ts";
import { coldExecutors, disarm, takeBackArming } from "../restart/cold-executors.ts";
import { restartExecutor } from "../restart/restart-executor.ts";
import { restartMachine, switchMachineOff } from "../restart/restart-machine.ts";
import { allowOnlyFenced, allowOnlyIfArmed } from "../restart/restart-rules.ts";
import { SavedStates } from "../restart/saved-states.ts";
import { KeptMaps } from "../store/kept-maps.ts";
import { whyUntracked } from "../tracking/disk-facts.ts";
import { findTrackerProgram, pinFolderOf, TrackerHelper } from "../tracking/helper.ts";
import type { Role, RoleOptions } from "./role.ts";

/** Boot images are kept in memory: on the disk they would become a part of the clone. */
const IMAGES_DIR = "/run/causeway/boot-images";
/** The maps of some 200 GiB in use. */
const KEPT_MAP_BYTES = 128 * 1024 * 1024;
/** Takes seconds on an idle server; far longer on a busy one. */
const REHEARSAL_LIMIT_MS = 180_000;
/** udev looks at a new snapshot, which cannot be removed meanwhile. */
const REMOVAL_PAUSES_MS = [200, 1000, 3000, 10_000];

/** What hashing files of the source's disks needs for a proof, in either system. */
export function hashDepsOf(
  { identity, cloud, version, now }: Pick<RoleOptions, "identity" | "cloud" | "version" | "now">,
  disks: HashFilesDeps["disks"],
): HashFilesDeps {
  return {
    ...{ disks, hash: hashInWorker, now: () => now().getTime(), agentVersion: version },
    repository: once(() => openOwnRepository(identity, cloud)),
    newSeed: () => randomBytes(16).toString("hex"),
  };
}

/** A source server in its original system: captures disks, and arms itself for a cold clone. */
export const sourceRole: Role = async (options) => {
  const { identity, cloud, version, dataDir, machine, imageTrust, log, now } = options;
  const hooks = { folder: HOOKS_FOLDER, pending: new PendingHooks(dataDir), log };
  await runPendingHooks(hooks);
  const { lookAtMachine, lookAtDisks } = looksOf(options);
  const nowMs = () => now().getTime();
  const lvm = new LvmTools(machine);
  const snapshots = new Snapshots({
    ...{ lvm, kept: new KeptSnapshots(dataDir), now: nowMs, pausesMs: REMOVAL_PAUSES_MS },
    ...{ newId: () => randomBytes(6).toString("hex"), flush: () => flushMemory() },
  });
  await snapshots
    .removeLeftovers()
    .catch((error: unknown) => log.error("snapshots of the agent are left", { error: String(error) }));
  const lvmSnapshot = lvmSnapshotView({ lvm, snapshots, machine, hooks });
  const takeInventory = inventoryOf(options, { lookAtMachine, lvmSnapshot });
  const states = new SavedStates({
    ...{ dataDir, store: cloud.store, sourceId: identity.enrolment.agentId },
    recordKey: recordKeyOf(identity),
  });
  const bootId = await readBootId(machine);
  const afterAnswer = new AfterAnswer();
  const { fence, cutoverHooks } = await resumedFence(options);
  const reboot = restartExecutor({
    ...{ bootId, afterAnswer, refusal: allowOnlyFenced(fence, allowOnlyIfArmed(states, machine, bootId)) },
    restart: () => restartMachine(machine),
    onNotRestarted: async ({ conversionId }, cause) => {
      log.error("the machine is not restarted", { conversionId, error: String(cause) });
      await takeBackArming({ machine, states }, conversionId).catch((error: unknown) =>
        log.error("the machine may still be armed", { conversionId, error: String(error) }),
      );
    },
  });
  const images = new BootImageCache({
    ...{ folder: IMAGES_DIR, store: cloud.store, machine },
    trust: (key) => imageTrust.require(key),
  });
  const switchOff = switchOffOf(options, { fence, afterAnswer });
  const { disks, seen } = disksOf(lookAtDisks);
  return {
    ...{ takeInventory, seen },
    brokenFence: async () => (await fence.read()).broken,
    executors: {
      "take-inventory": async () => ({ inventory: await takeInventory() }),
      ...captureExecutors({
        ...{ identity, cloud: { ...cloud, store: keptMapsOf(options) }, version, dataDir },
        disks,
        usage: ({ path }) => diskUsageOf(path, machine),
        ...{ preCopy: preCopyOf({ dataDir, bootId, hooks, now: nowMs }), lvmSnapshot },
      }),
      "hash-files": hashFilesExecutor({ ...hashDepsOf(options, disks), trees: mountedTrees }),
      ...coldExecutors({
        ...{ machine, images, states, identity, now },
        takeInventory: lookAtMachine,
        prepareReturn: (term, marker) => fence.prepareReturn(term, marker),
        slowMachine: new LocalMachine({ answerLimitMs: REHEARSAL_LIMIT_MS }),
        ...{ adapters: linuxAdapters(machine), variables: process.env, agentVersion: version },
      }),
      "set-fence": setFenceExecutor(fence, cutoverHooks, options.settings.fencedServices ?? []),
      "switch-off": switchOff.executor,
      reboot,
      release: releaseExecutor(async (conversionId, _kept, { machineChanged }) => {
        await disarm({ machine, states }, conversionId, machineChanged);
        await states.forget(conversionId);
        await forgetCaptures(dataDir, conversionId);
      }),
    },
    ...switchOff.told,
  };
};

async function resumedFence({ dataDir, settings, now, log }: RoleOptions) {
  const cutoverHooks = cutoverHooksOf(dataDir, log);
  const fence = new FenceKeeper({ dataDir, systemctl: localSystemctl, now });
  const resumed = fence.resume(settings.fencedServices ?? []);
  await endingHooks(fence, cutoverHooks, resumed).catch((error: unknown) =>
    log.error("the fence is not as it should be", { error: String(error) }),
  );
  return { fence, cutoverHooks };
}

/** `told`: what the agent says of commands whose effect comes after their answer. */
function switchOffOf(
  { dataDir, machine, log }: RoleOptions,
  { fence, afterAnswer }: { fence: FenceKeeper; afterAnswer: AfterAnswer },
) {
  const own = new SwitchOff({ dataDir, fence, afterAnswer, switchOff: () => switchMachineOff(machine) });
  const logged = (work: Promise<void>) =>
    work.catch((error: unknown) => log.error("the note to switch off is unknown", { error: String(error) }));
  const told: Pick<AgentOptions, "onAcknowledged" | "onCancelled" | "onStart"> = {
    onAcknowledged: (commandId) => afterAnswer.acknowledged(commandId),
    onCancelled: (commandId) => {
      afterAnswer.cancelled(commandId);
      void logged(own.cancelled(commandId));
    },
    onStart: (retract) => void logged(own.resume(retract)),
  };
  return { executor: own.executor, told };
}

function keptMapsOf({ cloud, dataDir, log, now }: RoleOptions): KeptMaps {
  const folder = join(dataDir, "maps");
  return new KeptMaps(cloud.store, { folder, maxBytes: KEPT_MAP_BYTES, log, now });
}

/** `undefined` if the tracker's program is not installed. */
function preCopyOf(deps: Omit<PreCopyDeps, "tracker">): ConditionalView | undefined {
  const program = findTrackerProgram();
  if (program === undefined) return undefined;
  const tracker = new TrackerHelper(program, { pinFolder: pinFolderOf(deps.dataDir) });
  return preCopyView({ ...deps, tracker });
}

/**
 * Looks at the machine as it is now. Disks keep the names that the operator gave them, or else their first
 * ones.
 */
function looksOf(options: RoleOptions): {
  lookAtMachine: () => Promise<Inventory>;
  lookAtDisks: () => Promise<SeenMachine>;
} {
  const { identity, machine, settings, now } = options;
  const controlPlane = { hosts: controlPlaneHosts(identity.enrolment), environment: process.env };
  const services = settings.fencedServices ?? [];
  const fence = { services, look: () => listedServices(services, localSystemctl) };
  const diskNames = settings.disks.length > 0 ? undefined : new DiskNames(options);
  const wanted: InventoryOptions = {
    ...{ machine, now, chosenDisks: settings.disks },
    ...{ withoutIdleMedia: true, controlPlane, fence },
  };
  const named = async <T extends SeenMachine>(seen: T): Promise<T> =>
    diskNames ? { ...seen, disks: await diskNames.named(seen.disks) } : seen;
  return {
    lookAtMachine: async () => named(await collectInventory(wanted)),
    lookAtDisks: async () => named(await collectSeenMachine(wanted)),
  };
}

/** The disks that recovery points are taken of, and the machine as the last one saw it. */
function disksOf(
  lookAtDisks: () => Promise<SeenMachine>,
): Pick<CaptureDeps, "disks"> & { seen: () => SeenMachine | undefined } {
  let seen: SeenMachine | undefined;
  return {
    seen: () => seen,
    disks: async () => {
      seen = await lookAtDisks();
      return seen.disks.map((disk) => ({ ...disk, isStill: isUnused(disk) }));
    },
  };
}

/**
 * Adds to the machine's inventory: which boot loader could be armed, how the machine comes back, whose boot
 * images it starts. Judging these takes longer than the rest, so only what reports them takes this one.
 */
function inventoryOf(
  { machine, imageTrust }: RoleOptions,
  { lookAtMachine, lvmSnapshot }: { lookAtMachine: () => Promise<Inventory>; lvmSnapshot: ConditionalView },
): () => Promise<Inventory> {
  return async () => {
    const [inventory, arming, trustedImageKey, judged] = await Promise.all([
      lookAtMachine(),
      describeArming(linuxAdapters(machine)),
      imageTrust.fingerprint(),
      judgeReturn(machine),
    ]);
    return {
      ...inventory,
      disks: await withLiveCopies(inventory.disks, lvmSnapshot),
      bootLoader: { ...inventory.bootLoader, arming, trustedImageKey },
      return: judged,
    };
  };
}

type InventoriedDisks = Inventory["disks"];

/** With whether each disk could be copied as of one instant; only of disks in use that matters. */
async function withLiveCopies(
  disks: InventoriedDisks,
  lvmSnapshot: ConditionalView,
): Promise<InventoriedDisks> {
  const used = disks.filter(({ inUse }) => inUse === true).map((disk) => ({ ...disk, isStill: false }));
  const chosen = await choicesOf(used, { "pre-copy": { obstacles: untracked }, "lvm-snapshot": lvmSnapshot });
  return disks.map((disk) => {
    const choice = chosen.find(({ name }) => name === disk.name);
    if (!choice) return disk;
    const isPossible = choice.kind !== "inconsistent";
    return {
      ...disk,
      liveCopy: { isPossible, ...(isPossible ? {} : { obstacle: choice.reason.slice(0, 500) }) },
    };
  });
}

/** Why the tracker could not follow these disks. Only looks: nothing is followed yet. */
async function untracked(disks: readonly LocalDisk[]): Promise<Map<string, string>> {
  const obstacles = new Map<string, string>();
  for (const { name, path } of disks) {
    const obstacle = findTrackerProgram()
      ? await whyUntracked(path)
      : "the program causeway-tracker is not installed beside the agent";
    if (obstacle !== undefined) obstacles.set(name, obstacle);
  }
  return obstacles;
}

interface CaptureRoleOptions extends Pick<CaptureDeps, "disks">, StillDeps {
  identity: Identity;
  cloud: AgentCloud;
  version: string;
  dataDir: string;
  /** How disks in use are copied, if this system can. */
  preCopy?: ConditionalView | undefined;
  lvmSnapshot?: ConditionalView;
}

type CaptureCommand = "take-recovery-point" | "capture-disk" | "commit-recovery-point";

/** Reads disks and makes recovery points of them, in either system. */
export function captureExecutors({
  identity,
  cloud,
  version,
  dataDir,
  disks,
  usage,
  preCopy,
  lvmSnapshot,
}: CaptureRoleOptions): Required<Pick<Executors, CaptureCommand>> {
  const deps: CaptureDeps = {
    ...{ disks, dataDir, agentVersion: version, now: cloud.now, random: cloud.random },
    requests: cloud.requests,
    repository: once(() => openOwnRepository(identity, cloud)),
    views: {
      still: stillView({ usage }),
      ...(preCopy && { "pre-copy": preCopy }),
      ...(lvmSnapshot && { "lvm-snapshot": lvmSnapshot }),
      inconsistent: inconsistentView,
    },
  };
  return {
    "take-recovery-point": takeRecoveryPointExecutor(deps),
    "capture-disk": captureDiskExecutor(deps),
    "commit-recovery-point": commitRecoveryPointExecutor(deps),
  };
}
