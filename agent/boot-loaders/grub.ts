import { posix } from "node:path";
import { ArmingFailedError, BootStateUnreadableError } from "#shared/errors.ts";
import { UNKNOWN } from "#shared/protocol/inventory.ts";
import { fileSystemOf } from "../filesystems/file-systems.ts";
import { replaceFile } from "../machine/durable.ts";
import { readText } from "../machine/machine.ts";
import type { Armed, ArmingJob, BootLoaderAdapter, ProbeResult, UsableLoader } from "./adapter.ts";
import type { ArmingNeed } from "./arming-need.ts";
import { readBootSectorLoader, readPartition } from "./firmware.ts";
import { appendGrubEntry, formatGrubEntry, grubEntryId } from "./grub-entry.ts";
import { decodeGrubEnvironment, encodeGrubEnvironment, withGrubVariable } from "./grub-environment.ts";
import { GRUB_RULES, type GrubEnvironmentFacts, type GrubFacts } from "./grub-probe.ts";
import { LILO_FILE } from "./lilo.ts";
import { LinuxBootLoader } from "./linux-boot-loader.ts";
import type { InstalledLoader, LinuxLoader, LoaderHost } from "./linux-loader.ts";
import { grubFolders } from "./return/grub-files.ts";
import { type GrubRehearsal, rehearse } from "./return/grub-rehearsal.ts";
import { type GrubReturn, readGrub } from "./return/grub-return.ts";
import { grubToolsOf } from "./return/grub-tools.ts";
import { findLoader } from "./return/loader.ts";
import { readFirmwareOrder } from "./return/system-return.ts";
import { COMMON_RULES, findingsOf } from "./rules.ts";
import type { SavedBootState } from "./saved-state.ts";
import { type StagedImage, stagedPath } from "./staging.ts";
import { layerOf, readVolumes, type VolumeMap } from "./volumes.ts";

const PLACE = "/boot";
const CONFIG = "grub.cfg";
const CUSTOM = "custom.cfg";
const ENVIRONMENT = "grubenv";
const NEXT_ENTRY = "next_entry";
const FORM = "kernel-and-initrd";
const LEGACY_FILES = ["/boot/grub/menu.lst", "/boot/grub/grub.conf"];

/**
 * GRUB on BIOS and UEFI: our own entry in `custom.cfg`, which the main configuration reads, and `next_entry`
 * in the environment block, which GRUB clears before it starts the entry.
 */
export class Grub extends LinuxBootLoader implements BootLoaderAdapter {
  readonly kind = "grub";

  async probe(need: ArmingNeed): Promise<ProbeResult> {
    const facts = await this.#facts(need, await readVolumes(this.machine));
    const refusals = [...findingsOf(GRUB_RULES, facts), ...findingsOf(COMMON_RULES, facts)];
    if (refusals.length > 0 || !facts.place) return { usable: false, kind: this.kind, refusals };
    const { folder, freeBytes } = facts.place;
    return { usable: true, kind: this.kind, form: FORM, folder, freeBytes };
  }

  async save(loader: UsableLoader, job: ArmingJob): Promise<SavedBootState> {
    const recorder = await this.recorder();
    const { found } = await this.#find(await readVolumes(this.machine));
    const folder = found?.folder;
    if (folder === undefined)
      throw new BootStateUnreadableError("GRUB's configuration", "it is no longer certain where it is");
    const named = posix.join(folder, ENVIRONMENT);
    const environment = (await this.machine.resolve(named)) ?? named;
    const entry = formatGrubEntry(await this.#entryOf({ ...loader, ...job }));
    const items = [
      await recorder.file(environment, "grub-environment", (before) => {
        const armed = armedEnvironment(before, grubEntryId(job.jobId));
        if (armed instanceof Buffer) return armed;
        throw new BootStateUnreadableError(
          environment,
          "it is missing, is damaged, or has no room for another variable",
        );
      }),
      await recorder.file(posix.join(folder, CUSTOM), "grub-configuration", (before = Buffer.alloc(0)) =>
        appendGrubEntry(before, entry),
      ),
      ...(await this.stagingItems(recorder, loader)),
      await recorder.folder(folder),
      await recorder.watchedFile(posix.join(folder, CONFIG)),
    ];
    return this.finish(recorder, { loader, job, items });
  }

  async arm(saved: SavedBootState, staged: StagedImage): Promise<Armed> {
    await this.requireAsSaved(saved);
    const { path: custom, bytes } = await this.armedFile(saved, CUSTOM);
    const environment = await this.armedFile(saved, ENVIRONMENT);
    const status = await this.machine.status(custom);
    await replaceFile(this.machine, custom, bytes, {
      mode: status?.mode ?? 0o644,
      ...(status && { attributes: status }),
    });
    // GRUB does not replay journals: it would find the entry and not yet the files that it refers to.
    await this.machine.flush([posix.dirname(custom), staged.folder]);
    // Last, because it makes the next start special: until now every start is as always.
    await this.machine.overwrite(environment.path, environment.bytes);
    if (!(await this.machine.contents(environment.path))?.equals(environment.bytes))
      throw new ArmingFailedError(environment.path);
    return { kind: this.kind, entry: grubEntryId(saved.jobId) };
  }

  async #entryOf(staged: StagedImage) {
    const { jobId, commandLine, folder } = staged;
    const volumes = await readVolumes(this.machine);
    const volume = volumes.holding(folder);
    const pathOf = (name: string) => volumes.locationOf(stagedPath(staged, name))?.path ?? "";
    const partition = volume && (await readPartition(this.machine, volume.device));
    const tableModule = { gpt: ["part_gpt"], mbr: ["part_msdos"], none: [], unknown: [] };
    const fileSystem = fileSystemOf(volume?.type ?? "")?.grubModule;
    return {
      ...{ jobId, commandLine, fileSystemUuid: volume?.uuid ?? "" },
      modules: [...tableModule[partition?.table.kind ?? "none"], ...(fileSystem ? [fileSystem] : [])],
      kernelPath: pathOf("vmlinuz"),
      initrdPaths: [pathOf("initrd.zst"), pathOf("overlay.cpio")],
    };
  }

  async #facts(need: ArmingNeed, volumes: VolumeMap): Promise<GrubFacts> {
    const common = await this.commonFacts(need, { form: FORM, parent: PLACE, volumes });
    const { found, otherLoader } = await this.#find(volumes);
    const folder = found?.folder;
    const place = volumes.holding(PLACE);
    const partition = place && (await readPartition(this.machine, place.device));
    const exists = async (path: string) => (await this.machine.status(path)) !== undefined;
    const environment = folder === undefined ? undefined : await this.#environmentFacts(folder, volumes);
    const entry = formatGrubEntry(PROBED_ENTRY);
    const armed = environment && armedEnvironment(environment.bytes, grubEntryId(PROBED_ENTRY.jobId));
    return {
      ...common,
      configPath: folder && posix.join(folder, CONFIG),
      customText: (folder && (await readText(this.machine, posix.join(folder, CUSTOM)))) ?? "",
      hasLilo: await exists(LILO_FILE),
      hasLegacyGrub: (await Promise.all(LEGACY_FILES.map(exists))).includes(true),
      isFolderUncertain: found !== undefined && folder === undefined,
      otherLoader,
      bootSector:
        partition && common.firmware.kind === "bios"
          ? await readBootSectorLoader(this.machine, partition.diskPath)
          : "unknown",
      environment,
      hasRoom: armed !== "no-room",
      rehearsal:
        found && armed instanceof Buffer ? await this.#rehearse(volumes, found, { armed, entry }) : undefined,
      tools: await grubToolsOf(this.machine),
    };
  }

  /** What GRUB would do if it were armed: with the entry in custom.cfg and named in the environment block. */
  #rehearse(
    volumes: VolumeMap,
    { folder = "", start, outcome }: GrubReturn,
    { armed, entry }: { armed: Buffer; entry: string },
  ): Promise<GrubRehearsal | undefined> {
    return rehearse(this.machine, volumes, {
      start,
      saved: outcome.saved,
      id: grubEntryId(PROBED_ENTRY.jobId),
      appended: { path: posix.join(folder, CUSTOM), text: entry },
      replaced: { path: posix.join(folder, ENVIRONMENT), bytes: armed },
    });
  }

  async #environmentFacts(folder: string, volumes: VolumeMap): Promise<GrubEnvironmentFacts> {
    const named = posix.join(folder, ENVIRONMENT);
    // Some distributions link it to the ESP.
    const path = (await this.machine.resolve(named)) ?? named;
    const status = await this.machine.status(path);
    const mount = volumes.holding(path);
    return {
      path,
      status,
      bytes: status?.kind === "file" ? await this.machine.contents(path) : undefined,
      type: mount?.type ?? "an unknown file system",
      layer: mount ? await layerOf(this.machine, mount.device) : "unknown",
      writable: mount?.writable ?? false,
    };
  }

  /** Where GRUB's files are, if GRUB starts this system. */
  async #find(volumes: VolumeMap): Promise<{ found?: GrubReturn; otherLoader?: string | undefined }> {
    const loader = await findLoader(this.machine, volumes, await readFirmwareOrder(this.machine, volumes));
    if (loader.kind === "grub") return { found: await readGrub(this.machine, volumes, loader.starts) };
    return { otherLoader: loader.kind === "other" ? loader.name : OTHER_NAMES[loader.kind] };
  }
}

const OTHER_NAMES = {
  "systemd-boot": "systemd-boot",
  none: "the firmware itself",
  unknown: undefined,
} as const;

/** As long as any entry that is armed. */
const PROBED_ENTRY = {
  jobId: "0".repeat(32),
  fileSystemUuid: "",
  modules: [],
  kernelPath: "/vmlinuz",
  initrdPaths: ["/initrd.zst"],
  commandLine: "",
};

/** The environment block as arming would write it; `undefined` if there is none. */
function armedEnvironment(bytes: Buffer | undefined, entryId: string): Buffer | "no-room" | undefined {
  const environment = bytes && decodeGrubEnvironment(bytes);
  if (!environment) return undefined;
  try {
    return encodeGrubEnvironment(withGrubVariable(environment, NEXT_ENTRY, entryId));
  } catch (error) {
    if (error instanceof RangeError) return "no-room";
    throw error;
  }
}

async function describeGrub({ machine, mountOf, espPath }: LoaderHost): Promise<InstalledLoader | undefined> {
  for (const folder of await grubFolders(machine, espPath)) {
    const configPath = posix.join(folder, CONFIG);
    if ((await readText(machine, configPath)) === undefined) continue;
    const common = { kind: "grub", configPath };
    const environment = await machine.resolve(posix.join(folder, ENVIRONMENT));
    if (environment === undefined || (await readText(machine, environment)) === undefined)
      return { evidence: "configured", description: common };
    const mount = mountOf(environment);
    const place = {
      environmentPath: environment,
      environmentFileSystem: mount?.type ?? UNKNOWN,
      ...(mount && { environmentDevice: mount.source }),
    };
    return { evidence: "configured", description: { ...common, ...place } };
  }
  return undefined;
}

export const grub: LinuxLoader = { adapter: (machine) => new Grub(machine), describe: describeGrub };
