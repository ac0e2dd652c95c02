/** The guest that reads the files of a clone, for the target host that started it. */
import { constants, openSync } from "node:fs";
import { receivedKeys } from "../../adapt/disk-key.ts";
import { attachedVolumes } from "../../adapt/guest/system-volumes.ts";
import { openedVolumes } from "../../adapt/guest/volume-layers.ts";
import { type ChannelFrame, messageFrame, messageIn } from "../../browse/frames.ts";
import { GuestPort } from "../../browse/guest/guest-port.ts";
import { PROVE_PORT, type ProveAnswer, ProveTask } from "../messages.ts";
import { mountAll } from "../mounted-volumes.ts";
import { seenFile } from "./seen-file.ts";

const MOUNTS = "/mnt";
const MOST_DETAIL = 2000;

type OpenFileSystem = { uuid: string } & ({ root: number } | { problem: string });

/** Does what it is asked for as long as it runs. Rejects if it cannot. */
export async function proveAsGuest(): Promise<never> {
  const port = await GuestPort.open(PROVE_PORT);
  const guest = new ProvingGuest((answer) => port.send(messageFrame(answer)));
  await guest.say({ say: "ready" });
  for await (const frame of port.frames) await guest.answer(frame);
  throw new Error("the channel ended");
}

class ProvingGuest {
  readonly say: (answer: ProveAnswer) => Promise<void>;
  #opened: OpenFileSystem[] = [];

  constructor(say: (answer: ProveAnswer) => Promise<void>) {
    this.say = say;
  }

  async answer(frame: ChannelFrame): Promise<void> {
    try {
      const task = ProveTask.parse(messageIn(frame));
      if (task.task === "open") await this.#open(task);
      else await this.#read(task.fileSystem, task.paths);
    } catch (error) {
      const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      await this.say({ say: "failed", detail: detail.slice(0, MOST_DETAIL) });
    }
  }

  async #open({ disks, keys }: ProveTask & { task: "open" }): Promise<void> {
    const attached = await attachedVolumes(disks.map((name) => ({ name })));
    const mounted = await mountAll(await openedVolumes(attached, receivedKeys(keys)), MOUNTS);
    this.#opened = mounted.map((one) => ("place" in one ? { uuid: one.uuid, root: opened(one.place) } : one));
    const fileSystems = this.#opened.map((one) => ({
      uuid: one.uuid,
      ...("problem" in one ? { problem: one.problem.slice(0, 400) } : {}),
    }));
    await this.say({ say: "opened", fileSystems });
  }

  async #read(fileSystem: string, paths: readonly Buffer[]): Promise<void> {
    const opened = this.#opened.find(({ uuid }) => uuid === fileSystem);
    if (!opened || "problem" in opened) throw new Error(`the file system ${fileSystem} is not open`);
    for (const path of paths) await this.say({ say: "file", file: seenFile(opened.root, path) });
  }
}

function opened(folder: string): number {
  return openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
}
