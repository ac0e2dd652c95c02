import { markOf } from "#shared/domain/disk-recognition.ts";
import {
  BootImageNotStagedError,
  BootStateNotRestoredError,
  BootStateNotSavedError,
} from "#shared/errors.ts";
import {
  type BootImageReference,
  INITRD_FILE,
  KERNEL_FILE,
  NETWORK_SCRIPTS_FILE,
  UNIFIED_KERNEL_FILE,
} from "#shared/protocol/boot-image.ts";
import { signBootReceipt } from "#shared/protocol/boot-receipt-signature.ts";
import { ServiceName } from "#shared/protocol/fence.ts";
import type { Inventory } from "#shared/protocol/inventory.ts";
import type { BootLoaderAdapter } from "../boot-loaders/adapter.ts";
import { readArmedState } from "../boot-loaders/armed-state.ts";
import type { ArmingNeed } from "../boot-loaders/arming-need.ts";
import { attestBootState } from "../boot-loaders/attest.ts";
import { chooseLoader } from "../boot-loaders/choose.ts";
import { restoreBootState } from "../boot-loaders/restore.ts";
import { requireReturn } from "../boot-loaders/return/require-return.ts";
import { nameOf } from "../boot-loaders/saved-state.ts";
import { type ImageForm, planStaging, stage } from "../boot-loaders/staging.ts";
import { readVolumes } from "../boot-loaders/volumes.ts";
import type { Executor, Executors } from "../commands/executor.ts";
import type { Identity } from "../identity/identity.ts";
import type { AgentVariables } from "../inventory/network-obstacles.ts";
import type { BootMachine } from "../machine/boot-machine.ts";
import type { Machine } from "../machine/machine.ts";
import { readBootId } from "../machine/system.ts";
import { additionalAuthorities } from "./authorities.ts";
import type { BootImageCache } from "./boot-image-cache.ts";
import { type Job, jobIdOf, overlayOf } from "./job.ts";
import { networkPlanOf } from "./network-plan-of.ts";
import { requireRehearsal } from "./require-rehearsal.ts";
import { returnPlaceOf } from "./return-place.ts";
import type { SavedStates } from "./saved-states.ts";

export interface ColdDeps {
  machine: BootMachine;
  /** The same machine, with a longer limit for a program that takes minutes on a busy source. */
  slowMachine: Pick<Machine, "run">;
  /** In order of preference. */
  adapters: readonly BootLoaderAdapter[];
  images: BootImageCache;
  states: SavedStates;
  identity: Identity;
  agentVersion: string;
  takeInventory: () => Promise<Inventory>;
  /** The source's fence. Returns what it keeps down, and what people are to read; see `FenceKeeper`. */
  prepareReturn: (
    term: number,
    marker: { path: string; mountPoint: string },
  ) => Promise<{ services: string[]; notice: string }>;
  /** The agent's own environment variables. */
  variables: AgentVariables;
  now: () => Date;
}

/** What is staged for each form, by the file names of boot images. */
const FILES_OF: Record<ImageForm, string[]> = {
  "kernel-and-initrd": [KERNEL_FILE, INITRD_FILE],
  "unified-kernel": [UNIFIED_KERNEL_FILE],
  // No agent for Windows stages one yet.
  "windows-ramdisk": [],
};

/** Includes the rehearsal's scripts, which older images do not have. */
function filesOf(form: ImageForm, { files }: BootImageReference): string[] {
  const hasScripts = files.some(({ name }) => name === NETWORK_SCRIPTS_FILE);
  return [...FILES_OF[form], ...(hasScripts ? [NETWORK_SCRIPTS_FILE] : [])];
}

/** More than any overlay takes: an identity, a saved state of small files, settings. */
const OVERLAY_BYTES = 2 * 1024 * 1024;

/** The commands of a cold clone in the original system, except the restart. */
export function coldExecutors(deps: ColdDeps): Executors {
  return {
    "stage-boot-image": stageBootImage(deps),
    "arm-boot": armBoot(deps),
    "attest-boot-state": attest(deps),
  };
}

/** Removes what a conversion's arming left, if it ever armed, and calls `machineChanged` before. */
export async function disarm(
  { machine, states }: Pick<ColdDeps, "machine" | "states">,
  conversionId: string,
  machineChanged?: () => void,
): Promise<void> {
  const saved = await states.get(conversionId);
  if (!saved) return;
  machineChanged?.();
  await restoreBootState(saved, machine, await readVolumes(machine));
  await states.forgetState(conversionId);
}

/** As `disarm`, but keeps what the receipt is made of: the control plane still asks for it. */
export async function takeBackArming(
  { machine, states }: Pick<ColdDeps, "machine" | "states">,
  conversionId: string,
): Promise<void> {
  const saved = await states.get(conversionId);
  if (!saved) return;
  await states.forgetArmed(conversionId);
  await restoreBootState(saved, machine, await readVolumes(machine));
}

function stageBootImage(deps: ColdDeps): Executor<"stage-boot-image"> {
  return async ({ conversionId, bootImage, accept, fenced }, { signal }) => {
    await requireReturn(deps.machine, accept);
    const { loader } = await chooseLoader(deps.adapters, needOf(conversionId, bootImage));
    if (fenced) await returnPlaceOf(deps.machine, loader.folder);
    await deps.images.fetch(bootImage, filesOf(loader.form, bootImage), signal);
    const imageDir = deps.images.folderOf(bootImage.id);
    await requireRehearsal(deps.slowMachine, await deps.takeInventory(), { imageDir, accept });
    await deps.states.remember(conversionId, bootImage);
    const bytesStaged = FILES_OF[loader.form].reduce((sum, name) => sum + sizeOf(bootImage, name), 0);
    return { adapter: loader.kind, bytesStaged };
  };
}

function armBoot(deps: ColdDeps): Executor<"arm-boot"> {
  return async (input, { signal, requestedBy }) => {
    const { conversionId, deadlineSeconds, idleSeconds, accept } = input;
    const { machine, states, identity, images, agentVersion } = deps;
    const bootImage = await states.imageOf(conversionId);
    if (!bootImage) throw new BootImageNotStagedError(conversionId);
    // Otherwise the leftover of an interrupted attempt would be saved as the original.
    await disarm(deps, conversionId);
    // Preflight may have checked long ago.
    await requireReturn(machine, accept);
    const { adapter, loader } = await chooseLoader(deps.adapters, needOf(conversionId, bootImage));
    await images.fetch(bootImage, filesOf(loader.form, bootImage), signal);
    const inventory = await deps.takeInventory();
    const imageDir = images.folderOf(bootImage.id);
    await requireRehearsal(deps.slowMachine, inventory, { imageDir, accept });
    const image = {
      ...{ jobId: jobIdOf(conversionId), form: loader.form, folder: loader.folder, kernelArguments: [] },
      ...{ imageDir, imageId: bootImage.id, publicKey: bootImage.publicKeyPem },
    };
    const { jobId, commandLine } = await planStaging(machine, image);
    const saved = await adapter.save(loader, { jobId, commandLine, savedAt: deps.now() });
    const { key, sha256 } = await states.put(conversionId, saved);
    const fence = input.fence && (await returnFence(input.fence, loader.folder, deps));
    const job: Job = {
      conversionId,
      requestedBy,
      identity,
      saved,
      disks: inventory.disks.map(markOf),
      deadlineSeconds,
      ...{ idleSeconds, fence, agentVersion },
    };
    const authorities = await additionalAuthorities(machine, deps.variables);
    const overlay = overlayOf(job, networkPlanOf(inventory), authorities);
    const staged = await stage(machine, { ...image, overlay });
    signal.throwIfAborted();
    const armed = await adapter.arm(saved, staged);
    try {
      const state = await readArmedState({ saved, machine, volumes: await readVolumes(machine) });
      await states.markArmed(conversionId, { bootId: inventory.bootId, state });
    } catch (error) {
      // The machine must start as before. If that fails too, the first error counts: restoring tries again.
      await adapter.disarm(saved).catch(() => {});
      throw error;
    }
    return {
      adapter: armed.kind,
      bootId: inventory.bootId,
      savedStateKey: key,
      savedStateSha256: sha256,
      items: saved.items.map((item) => ({
        name: nameOf(saved, item),
        ...(item.kind !== "folder" && item.before ? { sha256: item.before.sha256 } : {}),
      })),
    };
  };
}

/** Prepares the source to be fenced at its return, which the boot environment decides. */
async function returnFence(
  { term }: { term: number },
  folder: string,
  { machine, prepareReturn }: ColdDeps,
): Promise<Job["fence"]> {
  const { location, type, ...marker } = await returnPlaceOf(machine, folder);
  const { services: kept, notice } = await prepareReturn(term, marker);
  const services = kept.filter((unit) => ServiceName.safeParse(unit).success);
  return { term, services, notice, location, type };
}

function attest(deps: ColdDeps): Executor<"attest-boot-state"> {
  return async ({ conversionId, requestedBy }, { machineChanged }) => {
    const { machine, states, identity, now } = deps;
    const saved = await states.get(conversionId);
    if (!saved) {
      // Signed, and interrupted before the result was sent.
      const receipt = await states.receiptOf(conversionId);
      if (receipt) return { receipt };
      throw new BootStateNotSavedError(conversionId);
    }
    const volumes = await readVolumes(machine);
    let attestation = await attestBootState(saved, machine, volumes);
    // Usually the boot environment has restored everything; if it never came up, this does. The receipt shows
    // what is left.
    if (attestation.outcome === "different") {
      machineChanged();
      attestation = await restoreBootState(saved, machine, volumes).catch((error: unknown) => {
        if (!(error instanceof BootStateNotRestoredError)) throw error;
        return attestBootState(saved, machine, volumes);
      });
    }
    const receipt = signBootReceipt(
      {
        format: 2,
        conversionId,
        agentId: identity.enrolment.agentId,
        requestedBy,
        loader: saved.loader,
        savedAt: saved.savedAt,
        attestedAt: now().toISOString(),
        bootId: await readBootId(machine),
        ...attestation,
      },
      identity.keyPem,
      identity.enrolment.certificatePem,
    );
    await states.putReceipt(conversionId, receipt);
    await states.forget(conversionId);
    return { receipt };
  };
}

function needOf(conversionId: string, image: BootImageReference): ArmingNeed {
  return {
    jobId: jobIdOf(conversionId),
    kernelBytes: sizeOf(image, KERNEL_FILE),
    initrdBytes: sizeOf(image, INITRD_FILE),
    unifiedKernelBytes: sizeOf(image, UNIFIED_KERNEL_FILE),
    overlayBytes: OVERLAY_BYTES,
    signedForSecureBoot: image.secureBootSigned,
  };
}

function sizeOf(image: BootImageReference, name: string): number {
  return image.files.find((file) => file.name === name)?.sizeBytes ?? 0;
}
