import { rm } from "node:fs/promises";
import { join } from "node:path";
import { lockFolder } from "#shared/data-folder/lock.ts";
import { FolderInUseError, StandbyBusyError, StandbyNotOursError } from "#shared/errors.ts";
import { AgentRecords } from "../commands/agent-records.ts";
import { findOwnFolder, insideFolder, makeOwnFolder } from "../machine/inside-folder.ts";
import { newStandby, StandbyRecord } from "./standby-record.ts";

export interface StandbysOptions {
  /** The target host's folder for images; each standby has a folder of its own in it. */
  imagesDir: string;
  dataDir: string;
  /** See `recordKeyOf`. */
  key: Uint8Array;
  now: () => Date;
}

const FOLDER = "standbys";

/**
 * The standbys on this target host, by plan. All paths are built here from ids and names. No other command of
 * the agent touches their folders, and only one process works on a standby at a time.
 */
export class Standbys {
  readonly #options: StandbysOptions;
  readonly #records: AgentRecords<StandbyRecord>;

  constructor(options: StandbysOptions) {
    const { dataDir, key } = options;
    this.#options = options;
    this.#records = new AgentRecords({
      dataDir,
      folder: FOLDER,
      suffix: ".json",
      schema: StandbyRecord,
      key,
    });
  }

  /** Runs work on a standby that excludes all other. Throws `StandbyBusyError`. */
  async exclusively<T>(planId: string, work: () => Promise<T>): Promise<T> {
    using _lock = this.#lock(planId);
    return await work();
  }

  read(planId: string): Promise<StandbyRecord | undefined> {
    return this.#records.read(planId);
  }

  /** Durable when it resolves. */
  write(planId: string, record: StandbyRecord): Promise<void> {
    return this.#records.write(planId, record);
  }

  /**
   * The standby's record and its folder, which are made if there is none. Throws `StandbyNotOursError` for a
   * folder that this agent did not make, and for a standby of another source.
   */
  async prepare(planId: string, sourceId: string): Promise<{ record: StandbyRecord; folder: string }> {
    const { imagesDir } = this.#options;
    const before = await this.read(planId);
    if (before && before.sourceId !== sourceId)
      throw new StandbyNotOursError(planId, `it is of the source ${before.sourceId}, not ${sourceId}`);
    if (!before && (await findOwnFolder(imagesDir, planId)))
      throw new StandbyNotOursError(planId, "its folder existed before it");
    const record = before ?? newStandby(sourceId);
    if (!before) await this.write(planId, record);
    return { record, folder: await makeOwnFolder(imagesDir, planId) };
  }

  pathOf(planId: string, disk: string): string {
    return insideFolder(this.#options.imagesDir, planId, `${disk}.raw`);
  }

  /** Removes a standby, if there is one. */
  async forget(planId: string): Promise<void> {
    if (!(await this.read(planId))) return;
    await this.exclusively(planId, async () => {
      const folder = await findOwnFolder(this.#options.imagesDir, planId);
      if (folder) await rm(folder, { recursive: true, force: true });
      await this.#records.forget(planId);
    });
    await rm(this.#lockFolder(planId), { recursive: true, force: true });
  }

  #lock(planId: string): Disposable {
    try {
      return lockFolder(this.#lockFolder(planId), "causeway agent", this.#options.now);
    } catch (error) {
      if (error instanceof FolderInUseError) throw new StandbyBusyError(planId, { cause: error });
      throw error;
    }
  }

  #lockFolder(planId: string): string {
    return insideFolder(join(this.#options.dataDir, FOLDER), `${planId}.lock`);
  }
}
