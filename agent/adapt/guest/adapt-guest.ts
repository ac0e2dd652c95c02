/** The guest that adapts a system, for the machine that started it. */
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { type ChannelFrame, channelFrame, FRAME, messageFrame, messageIn } from "../../browse/frames.ts";
import { GuestPort } from "../../browse/guest/guest-port.ts";
import { deviceOfTarget } from "../../browse/guest/volumes.ts";
import { receivedKeys } from "../disk-key.ts";
import { ADAPT_PORT, type AdaptAnswer, AdaptTask, INPUTS_AT_ONCE } from "../messages.ts";
import { applyChanges, type ChangeWithContent } from "./apply.ts";
import { computeAdaptation } from "./compute.ts";
import { MountedSystem } from "./mounted-system.ts";
import { SystemFiles } from "./system-files.ts";

const PIECE_BYTES = 128 * 1024;
const MOST_DETAIL = 2000;

type Task<K extends AdaptTask["task"]> = Extract<AdaptTask, { task: K }>;

/** Does one task and answers; resolves when everything is on the disks. */
export async function adaptAsGuest(): Promise<void> {
  const guest = new AdaptingGuest(await GuestPort.open(ADAPT_PORT));
  await guest.run();
}

class AdaptingGuest {
  readonly #port: GuestPort;
  readonly #frames: AsyncGenerator<ChannelFrame, never>;
  #hasWritten = false;

  constructor(port: GuestPort) {
    this.#port = port;
    this.#frames = port.frames;
  }

  async run(): Promise<void> {
    await this.#say({ say: "ready" });
    const task = await this.#nextTask();
    try {
      if (task.task === "compute") await this.#compute(task);
      else if (task.task === "apply") await this.#apply(task);
      else throw new Error(`"${task.task}" is no task`);
    } catch (error) {
      const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      await this.#say({
        ...{ say: "failed", detail: detail.slice(0, MOST_DETAIL) },
        hasWritten: this.#hasWritten,
      });
    }
  }

  async #compute({ disks, keys, wanted }: Task<"compute">): Promise<void> {
    const system = await MountedSystem.open(disks, receivedKeys(keys));
    const computed = await computeAdaptation(system, disks, wanted, (on) =>
      this.#say({ say: "working", on }),
    );
    const { inputs, changes, commands, notes } = computed;
    const all = [...inputs];
    for (let at = 0; at < all.length; at += INPUTS_AT_ONCE)
      await this.#say({ say: "inputs", inputs: all.slice(at, at + INPUTS_AT_ONCE) });
    const files = new SystemFiles(system);
    for (const change of changes) {
      await this.#say({ say: "change", change });
      if (change.after) await this.#sendFile(files.locate(change.path));
    }
    await this.#say({ say: "computed", notes, commands });
  }

  async #apply({ disks, keys }: Task<"apply">): Promise<void> {
    const { inputs, changes } = await this.#receive(disks.length);
    const system = await MountedSystem.open(disks, receivedKeys(keys));
    const { stale } = await applyChanges(system, disks, inputs, changes, () => {
      this.#hasWritten = true;
    });
    await system.close();
    await this.#say(stale.length > 0 ? { say: "stale", inputs: stale.slice(0, 200) } : { say: "applied" });
  }

  /** `contentsDisk`: the number of the disk with the contents. */
  async #receive(
    contentsDisk: number,
  ): Promise<{ inputs: Map<string, string>; changes: ChangeWithContent[] }> {
    const inputs = new Map<string, string>();
    const changes: ChangeWithContent[] = [];
    await using contents = await open(join("/dev", await deviceOfTarget(contentsDisk)));
    for (;;) {
      const task = await this.#nextTask();
      if (task.task === "end") return { inputs, changes };
      if (task.task === "inputs") for (const [name, sha256] of task.inputs) inputs.set(name, sha256);
      if (task.task === "change") changes.push(await withContent(contents, task));
    }
  }

  async #sendFile(location: string): Promise<void> {
    for await (const piece of createReadStream(location, { highWaterMark: PIECE_BYTES }))
      await this.#port.send(channelFrame(FRAME.data, piece as Buffer));
  }

  async #nextTask(): Promise<AdaptTask> {
    const { value: frame } = await this.#frames.next();
    return AdaptTask.parse(messageIn(frame));
  }

  #say(answer: AdaptAnswer): Promise<void> {
    return this.#port.send(messageFrame(answer));
  }
}

async function withContent(
  contents: FileHandle,
  { change, offset }: Task<"change">,
): Promise<ChangeWithContent> {
  if (!change.after || offset === undefined) return { change };
  const content = Buffer.alloc(change.after.sizeBytes);
  await contents.read(content, 0, content.length, offset);
  return { change, content };
}
