import { join } from "node:path";
import { adaptationStore, adaptExecutor, forgetAdaptation, guestClone } from "../adapt/adapt-executor.ts";
import { DISK_KEYS_FOLDER, diskKeysOf } from "../adapt/disk-key.ts";
import { askerProblem, requireAsker } from "../answer/asker.ts";
import { CHECK_SCRIPTS_FOLDER, findCheckScripts } from "../answer/check-script.ts";
import { hostReach } from "../answer/reach.ts";
import { SavedStarts } from "../browse/saved-starts.ts";
import { agentApi } from "../cloud/agent-api.ts";
import { openReadableRepository } from "../cloud/readable-repository.ts";
import { AgentRecords, recordKeyOf } from "../commands/agent-records.ts";
import { bootCheckExecutor } from "../commands/boot-check.ts";
import { bringUpExecutor } from "../commands/bring-up-machine.ts";
import { checkRepositoryExecutor } from "../commands/check-repository.ts";
import { ConversionImages, WrittenImages } from "../commands/conversion-images.ts";
import { type MachineDeps, MachineRecord, machineExecutors } from "../commands/machine.ts";
import { materialiseExecutor } from "../commands/materialise.ts";
import { releaseExecutor } from "../commands/release.ts";
import { verifyExecutor } from "../commands/verify.ts";
import type { Hypervisor } from "../hypervisor/hypervisor.ts";
import { Libvirt } from "../hypervisor/libvirt/libvirt.ts";
import { qemu } from "../hypervisor/qemu/qemu.ts";
import { QemuService } from "../hypervisor/qemu/service/qemu-service.ts";
import { localSystemctl } from "../hypervisor/qemu/service/systemctl.ts";
import { collectInventory } from "../inventory/inventory.ts";
import { LeaseGuard } from "../lease/lease-guard.ts";
import { LeaseHeld, Leases } from "../lease/leases.ts";
import { isMachineStopped, signalMachine } from "../lease/machine-processes.ts";
import { renewalBy } from "../lease/renewal.ts";
import { uptimeMs } from "../lease/uptime.ts";
import { compareClone } from "../proof/compare-clone.ts";
import { compareFilesExecutor } from "../proof/compare-files-executor.ts";
import type { Repository } from "../repository/repository.ts";
import { standbyExecutors } from "../standby/standby-executors.ts";
import { Standbys } from "../standby/standbys.ts";
import type { Role, RoleOptions } from "./role.ts";

/** The agent's folder for images, unless the operator names another. */
export const IMAGES_FOLDER = "images";

/** The hypervisor of target hosts. */
const hypervisor: Hypervisor = qemu;

/** A target host: writes disks from recovery points, verifies them, runs boot checks, and keeps standbys. */
export const targetRole: Role = async (options) => {
  const { identity, settings, cloud, machine, version, dataDir, log, now } = options;
  const { agentId, awsEndpoint, certificatePem } = identity.enrolment;
  const imagesDir = settings.imagesDir ?? join(dataDir, IMAGES_FOLDER);
  const takeInventory = () => inventoryOf({ settings, machine, now, log }, imagesDir);
  const api = agentApi(identity, cloud);
  const repository = (conversionId: string): Promise<Repository> =>
    openReadableRepository({
      endpoint: awsEndpoint,
      requestAccess: () => api.openOwnerData({ parameters: { id: conversionId } }),
      now: cloud.now,
      random: cloud.random,
    });
  const ownRecords = { dataDir, suffix: ".json", key: recordKeyOf(identity) };
  const images = new ConversionImages(
    imagesDir,
    new AgentRecords({ ...ownRecords, folder: "written-images", schema: WrittenImages }),
  );
  const adaptations = adaptationStore(ownRecords);
  const removeImages = async (ownerId: string, kept = { adaptation: false }) => {
    if (!kept.adaptation) await forgetAdaptation(adaptations, ownerId);
    await images.remove(ownerId);
  };
  const standbys = new Standbys({ imagesDir, dataDir, key: recordKeyOf(identity), now });
  const leases = new Leases({
    records: new AgentRecords({ ...ownRecords, folder: "leases", schema: LeaseHeld }),
    guard: new LeaseGuard({ scriptsDir: join(dataDir, "lease-guards"), systemctl: localSystemctl }),
    renew: renewalBy(api),
    signal: signalMachine,
    isStopped: isMachineStopped,
    now: uptimeMs,
    log,
  });
  await leases.resume();
  const machines: MachineDeps = {
    leases,
    keepers: {
      libvirt: new Libvirt(),
      qemu: new QemuService({ scriptsDir: join(dataDir, "qemu-machines") }),
    },
    records: new AgentRecords({ ...ownRecords, folder: "machines", schema: MachineRecord }),
    images: { require: (wanted) => images.require(wanted), remove: removeImages },
    ...{ requireAsker, agentId },
  };
  const guests = guestsOf(options);
  return {
    takeInventory,
    executors: {
      "take-inventory": async () => ({ inventory: await takeInventory() }),
      materialise: materialiseExecutor({ repository, images }),
      verify: verifyExecutor({ repository, images }),
      "boot-check": bootCheckExecutor({ hypervisor, images, agentId, evidence: cloud.store }),
      ...standbyExecutors({ repository, standbys, images, random: cloud.random }),
      "check-repository": checkRepositoryExecutor({ repository, random: cloud.random }),
      ...machineExecutors(machines),
      "bring-up-machine": bringUpExecutor({ ...machines, reach: hostReach }),
      ...adaptExecutor({
        ...{ ...adaptations, ...guests, machines, images, clone: guestClone },
        now: () => performance.now(),
      }),
      "compare-files": compareFilesExecutor({
        ...{ ...guests, images, repository, compare: compareClone },
        ...{ agent: { id: agentId, version, keyPem: identity.keyPem, certificatePem }, now },
      }),
      release: releaseExecutor(removeImages),
    },
  };
};

/** What guests that work on clones need. */
function guestsOf({ settings, dataDir, log }: Pick<RoleOptions, "settings" | "dataDir" | "log">) {
  return {
    bootImageDir: settings.bootImageDir,
    savedStarts: new SavedStarts({ folder: join(dataDir, "guest-starts"), log }),
    diskKeys: (sourceId: string) => diskKeysOf(DISK_KEYS_FOLDER, sourceId),
  };
}

function inventoryOf(
  { settings, machine, now, log }: Pick<RoleOptions, "settings" | "machine" | "now" | "log">,
  imagesDir: string,
) {
  return collectInventory({
    ...{ machine, now, chosenDisks: settings.disks },
    target: {
      ...{ hypervisor, imagesPath: imagesDir },
      checkScripts: () => findCheckScripts(CHECK_SCRIPTS_FOLDER, log),
      askerProblem: () => askerProblem(machine),
    },
  });
}
