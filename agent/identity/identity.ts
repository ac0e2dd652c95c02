import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as z from "zod";
import { syncFolder } from "#shared/data-folder/sync-folder.ts";
import { EnrollableRole } from "#shared/protocol/common.ts";
import { ServiceName } from "#shared/protocol/fence.ts";
import { DiskName, NAMES_DIFFER, namesDiffer } from "#shared/protocol/ids.ts";
import { Enrolment } from "#shared/protocol/resources.ts";

/**
 * What enrolment gave this agent, and its settings. Kept in the agent's data folder, readable by its user
 * only.
 */
export const Identity = z.object({
  role: EnrollableRole,
  /** PEM, PKCS #8. */
  keyPem: z.string(),
  enrolment: Enrolment,
  /** The marker of the machine that it was enrolled on, if it had one. */
  machineMarker: z.string().optional(),
  /** See `Reach`. */
  tlsServerName: z.string().optional(),
});
export type Identity = z.infer<typeof Identity>;

/** What an operator chose at the agent's start; later starts keep it. */
export const Settings = z.object({
  disks: z.array(z.object({ name: DiskName, path: z.string() })).refine(namesDiffer, NAMES_DIFFER),
  imagesDir: z.string().optional(),
  /** The boot image in which a target host adapts systems. */
  bootImageDir: z.string().optional(),
  /** A source's services that its fence keeps down. */
  fencedServices: z.array(ServiceName).optional(),
});
export type Settings = z.infer<typeof Settings>;

/** A small file in the agent's data folder, checked by a schema and replaced as a whole. */
export class DataFile<T> {
  readonly #path: string;
  readonly #schema: z.ZodType<T>;

  constructor(dataDir: string, name: string, schema: z.ZodType<T>) {
    this.#path = join(dataDir, name);
    this.#schema = schema;
  }

  /** Returns `undefined` if it was never written; throws if it cannot be read or parsed. */
  async read(): Promise<T | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    return this.#schema.parse(JSON.parse(text));
  }

  /** Durable when it resolves: a power cut leaves the old content or the new. */
  async write(value: T): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const draft = `${this.#path}.new`;
    // Created new, so that the write never goes through a file or link that another program put there.
    await rm(draft, { force: true });
    await using file = await open(draft, "wx", 0o600);
    await file.writeFile(`${JSON.stringify(value, null, 2)}\n`);
    await file.sync();
    await rename(draft, this.#path);
    await syncFolder(dirname(this.#path));
  }
}

export const identityFile = (dataDir: string): DataFile<Identity> =>
  new DataFile(dataDir, "identity.json", Identity);
export const settingsFile = (dataDir: string): DataFile<Settings> =>
  new DataFile(dataDir, "settings.json", Settings);
