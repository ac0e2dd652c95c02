/** The fence of a source, as far as its boot environment has a part in it. */
import { posix } from "node:path";
import { FenceInterruptedError, WrongStateError } from "#shared/errors.ts";
import type { Executor } from "../commands/executor.ts";
import { markerText, returnNotice } from "../fence/fence-files.ts";
import { FenceState } from "../fence/fence-keeper.ts";
import { replaceFile } from "../machine/durable.ts";
import type { Job } from "../restart/job.ts";
import { type OwnDisks, whileWritable } from "./restore-first.ts";

/**
 * Fences the source for its return: its own system, which is prepared for that, comes back with its services
 * down, whatever restarts it. Here none of them runs in any case. Only that system takes the fence down.
 */
export class ReturnFence {
  readonly #job: Pick<Job, "fence">;
  readonly #options: OwnDisks;
  #isUp = false;

  constructor(job: Pick<Job, "fence">, options: OwnDisks) {
    this.#job = job;
    this.#options = options;
  }

  /** Throws `FenceInterruptedError` if the job is for another lease, or none. May be repeated. */
  readonly executor: Executor<"set-fence"> = async ({ term, isUp, lasting }) => {
    const { fence } = this.#job;
    if (fence?.term !== term || !isUp || !lasting) throw new FenceInterruptedError();
    await this.#write(fence);
    this.#isUp = true;
    return { term, isUp, lasting, services: fence.services };
  };

  /** For what may be done only to a source that is fenced. */
  async read(): Promise<FenceState> {
    return FenceState.parse({ term: this.#job.fence?.term ?? 0, isUp: this.#isUp });
  }

  /** The file is durable, and has been read back. What people read is written after it. */
  async #write({ term, notice, location, type }: NonNullable<Job["fence"]>): Promise<void> {
    const { machine } = this.#options;
    const text = Buffer.from(markerText(term));
    const volumes = [{ uuid: location.volume, type }];
    const path = await whileWritable(volumes, this.#options, async (places) => {
      const place = places.pathOf(location);
      const folder = posix.dirname(place);
      if (!(await machine.status(folder))) await machine.makeFolder(folder, 0o755);
      await replaceFile(machine, place, text, { mode: 0o644 });
      if (notice !== undefined)
        await replaceFile(machine, returnNotice(place), Buffer.from(notice), { mode: 0o644 });
      return place;
    });
    const isThere = await whileWritable(volumes, this.#options, async () =>
      (await machine.contents(path))?.equals(text),
    );
    if (!isThere) throw new WrongStateError(`the fence at ${location.path} could not be read back`);
  }
}
