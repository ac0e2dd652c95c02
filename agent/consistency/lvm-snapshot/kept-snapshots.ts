import * as z from "zod";
import { DataFile } from "../../identity/identity.ts";

const Kept = z.array(z.object({ groupUuid: z.string(), name: z.string() })).max(1024);

/** A snapshot that the agent has made, or was about to make. */
export type KeptSnapshot = z.infer<typeof Kept>[number];

/**
 * The snapshots that the agent must remove, in its data folder. Each is added before it is made: after a
 * crash the agent knows which ones are its own. Changes wait for each other.
 */
export class KeptSnapshots {
  readonly #file: DataFile<KeptSnapshot[]>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(dataDir: string) {
    this.#file = new DataFile(dataDir, "lvm-snapshots.json", Kept);
  }

  /** Throws if the file is damaged: then it is not known what must be removed. */
  async all(): Promise<KeptSnapshot[]> {
    return (await this.#file.read()) ?? [];
  }

  add(snapshot: KeptSnapshot): Promise<void> {
    return this.#change((all) => [...all, snapshot]);
  }

  forget({ groupUuid, name }: KeptSnapshot): Promise<void> {
    return this.#change((all) => all.filter((one) => one.name !== name || one.groupUuid !== groupUuid));
  }

  #change(next: (all: KeptSnapshot[]) => KeptSnapshot[]): Promise<void> {
    const changing = this.#last.then(async () => this.#file.write(next(await this.all())));
    this.#last = changing.catch(() => undefined);
    return changing;
  }
}
