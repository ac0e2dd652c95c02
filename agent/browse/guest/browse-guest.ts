/** The guest's side of `causeway browse`: it answers what the operator's machine asks on the channel. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { messageFrame, messageIn } from "../frames.ts";
import { BrowsedVolume, PORT_NAME, Question } from "../messages.ts";
import { answerPath, GuestRefusal, type Send } from "./answer.ts";
import { GuestPort } from "./guest-port.ts";
import { NothingThereError } from "./path-inside.ts";
import { type GuestVolume, mountVolume, volumesOfDisk } from "./volumes.ts";

const MOUNTS = "/mnt";
/** Answers questions for as long as the guest runs. Rejects if it cannot. */
export async function browseAsGuest(): Promise<never> {
  const port = await GuestPort.open(PORT_NAME);
  const guest = new BrowsingGuest((bytes) => port.send(bytes));
  await port.send(messageFrame({ say: "ready" }));
  for await (const frame of port.frames) await guest.answer(Question.parse(messageIn(frame)));
  throw new Error("the channel ended");
}

class BrowsingGuest {
  readonly #send: Send;
  readonly #volumes = new Map<number, Promise<GuestVolume[]>>();
  readonly #mounted = new Map<string, Buffer>();

  constructor(send: Send) {
    this.#send = send;
  }

  async answer(question: Question): Promise<void> {
    try {
      if (question.ask === "volumes") {
        const volumes = (await this.#volumesOf(question.disk)).map(({ device, ids, ...volume }) =>
          BrowsedVolume.parse(volume),
        );
        return await this.#send(messageFrame({ say: "volumes", volumes }));
      }
      const { ask, path } = question;
      await answerPath(await this.#mount(question), { ask, path }, this.#send);
      await this.#send(messageFrame({ say: "end" }));
    } catch (error) {
      await this.#send(messageFrame({ say: "failed", ...failureIn(error) }));
    }
  }

  #volumesOf(disk: number): Promise<GuestVolume[]> {
    const volumes = this.#volumes.get(disk) ?? volumesOfDisk(disk);
    this.#volumes.set(disk, volumes);
    return volumes;
  }

  async #mount({ disk, volume: name }: { disk: number; volume: string }): Promise<Buffer> {
    const key = `${disk} ${name}`;
    const known = this.#mounted.get(key);
    if (known) return known;
    const volume = (await this.#volumesOf(disk)).find((each) => each.name === name);
    if (!volume) throw new GuestRefusal("no such volume", name);
    if (volume.problem) throw new GuestRefusal("no file system", volume.problem);
    const folder = join(MOUNTS, String(this.#mounted.size));
    await mkdir(folder, { recursive: true });
    const complaint = await mountVolume(volume, folder);
    if (complaint !== undefined) throw new GuestRefusal("unreadable", complaint);
    const root = Buffer.from(folder);
    this.#mounted.set(key, root);
    return root;
  }
}

function failureIn(error: unknown): { why: GuestRefusal["why"]; detail: string } {
  if (error instanceof NothingThereError) return { why: "no such path", detail: "" };
  const detail = String(error instanceof Error ? error.message : error).slice(0, 300);
  return { why: error instanceof GuestRefusal ? error.why : "unreadable", detail };
}
