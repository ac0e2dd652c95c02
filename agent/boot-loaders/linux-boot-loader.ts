import { posix } from "node:path";
import { ArmingFailedError, BootStateChangedError } from "#shared/errors.ts";
import type { BootMachine } from "../machine/boot-machine.ts";
import type { UsableLoader } from "./adapter.ts";
import type { ArmingNeed } from "./arming-need.ts";
import { type Attestation, attestBootState } from "./attest.ts";
import { readFirmware } from "./firmware.ts";
import { restoreBootState, restoreNextStart } from "./restore.ts";
import type { CommonFacts, PlaceFacts } from "./rules.ts";
import { StateRecorder, variablePath } from "./save.ts";
import { nameOf, type SavedBootState, type SavedItem, type SavedItemOf } from "./saved-state.ts";
import { type ImageForm, stagedBytes, stagedPaths, stagingFolder } from "./staging.ts";
import { layerOf, readVolumes, type VolumeMap } from "./volumes.ts";

/** What all ways of arming a Linux system have in common. */
export abstract class LinuxBootLoader {
  protected readonly machine: BootMachine;

  constructor(machine: BootMachine) {
    this.machine = machine;
  }

  async restore(saved: SavedBootState): Promise<Attestation> {
    return restoreBootState(saved, this.machine, await readVolumes(this.machine));
  }

  async disarm(saved: SavedBootState): Promise<void> {
    await restoreNextStart({ saved, machine: this.machine, volumes: await readVolumes(this.machine) });
  }

  async attest(saved: SavedBootState): Promise<Attestation> {
    return attestBootState(saved, this.machine, await readVolumes(this.machine));
  }

  protected async commonFacts(
    need: ArmingNeed,
    { form, parent, volumes }: { form: ImageForm; parent: string | undefined; volumes: VolumeMap },
  ): Promise<CommonFacts> {
    return {
      isRoot: this.machine.isRoot(),
      firmware: await readFirmware(this.machine, volumes),
      signedForSecureBoot: need.signedForSecureBoot,
      form,
      neededBytes: stagedBytes(form, need),
      place: parent === undefined ? undefined : await this.#placeFacts(parent, need.jobId, volumes),
    };
  }

  async #placeFacts(parent: string, jobId: string, volumes: VolumeMap): Promise<PlaceFacts | undefined> {
    const mount = volumes.holding(parent);
    const status = await this.machine.status(parent);
    if (!mount || status?.kind !== "folder") return undefined;
    return {
      folder: stagingFolder(parent, jobId),
      type: mount.type,
      layer: await layerOf(this.machine, mount.device),
      writable: mount.writable,
      hasUuid: mount.uuid !== "",
      freeBytes: (await this.machine.freeBytes(parent)) ?? 0,
      readableByAll: mount.type === "vfat" && (status.mode & 0o077) !== 0,
    };
  }

  /**
   * The items of a staged image: its files and folders, which restoring removes, and the folder that contains
   * them, whose time restoring puts back.
   */
  protected async stagingItems(
    recorder: StateRecorder,
    { form, folder }: Pick<UsableLoader, "form" | "folder">,
  ): Promise<SavedItem[]> {
    const own = posix.dirname(folder);
    const files = stagedPaths(form, folder).map(({ path, secret }): SavedItem => {
      // Anything under the job's name belongs to the job, perhaps from an interrupted call.
      return { kind: "file", location: recorder.location(path), format: "own", secret, staged: true };
    });
    return [
      ...files,
      { kind: "folder", location: recorder.location(folder) },
      (await this.#isOnlyOurs(own, folder))
        ? { kind: "folder", location: recorder.location(own) }
        : await recorder.folder(own),
      await recorder.folder(posix.dirname(own)),
    ];
  }

  /** A folder that this job has created, or will create, is removed with it. */
  async #isOnlyOurs(own: string, folder: string): Promise<boolean> {
    const names = await this.machine.list(own);
    return names.length === 0 || (names.length === 1 && names[0] === posix.basename(folder));
  }

  protected finish(
    recorder: StateRecorder,
    {
      loader,
      job,
      items,
    }: {
      loader: UsableLoader;
      job: { jobId: string; savedAt: Date };
      items: SavedItem[];
    },
  ): SavedBootState {
    return {
      format: 2,
      loader: loader.kind,
      jobId: job.jobId,
      savedAt: job.savedAt.toISOString(),
      volumes: recorder.volumesOf(items),
      items,
    };
  }

  /**
   * Arming must start from exactly the saved state; otherwise a later restore would put back something else.
   */
  protected async requireAsSaved(saved: SavedBootState): Promise<void> {
    const { items } = await this.attest(saved);
    const changed = saved.items.flatMap((item, index) => {
      // Staging created its files and changed the times of folders, as it should.
      if (item.kind === "folder" || (item.kind === "file" && item.staged)) return [];
      return items[index]?.outcome === "equal" ? [] : [nameOf(saved, item)];
    });
    if (changed.length > 0) throw new BootStateChangedError(changed);
  }

  /**
   * Writes the armed value of a saved variable, and checks that the firmware kept it: some firmware forgets
   * it or refuses silently.
   */
  protected async armVariable(saved: SavedBootState, name: string): Promise<void> {
    const item = saved.items.find((each) => each.kind === "variable" && each.name === name);
    if (item?.kind !== "variable") throw new ArmingFailedError(name);
    const bytes = Buffer.from(item.armed.bytesBase64, "base64");
    const path = variablePath(name);
    await this.machine.writeVariable(path, bytes);
    if (!(await this.machine.contents(path))?.equals(bytes)) throw new ArmingFailedError(name);
  }

  /** Where a saved file is now, and what arming writes to it. */
  protected async armedFile(
    saved: SavedBootState,
    name: string,
  ): Promise<{ path: string; bytes: Buffer; before: SavedItemOf<"file">["before"] }> {
    const item = saved.items.find(
      (each) => each.kind === "file" && posix.basename(each.location.path) === name,
    );
    if (item?.kind !== "file" || !item.armed) throw new BootStateChangedError([name]);
    const path = (await readVolumes(this.machine)).pathOf(item.location);
    return { path, bytes: Buffer.from(item.armed.bytesBase64, "base64"), before: item.before };
  }

  protected async recorder(): Promise<StateRecorder> {
    return new StateRecorder(this.machine, await readVolumes(this.machine));
  }
}
