import { createHash } from "node:crypto";
import { mkdir, open, rename } from "node:fs/promises";
import { join } from "node:path";
import {
  MOST_CHANGES,
  type SourceDiskIdentity,
  type WantedMachine,
} from "#shared/protocol/wanted-machine.ts";
import { GuestAnswerInvalidError } from "../browse/errors.ts";
import { FRAME, messageFrame, messageIn } from "../browse/frames.ts";
import type { GuestChannel } from "../browse/guest-channel.ts";
import { printable } from "../hooks/printable.ts";
import type { GuestDisk } from "../hypervisor/guest.ts";
import { type AdaptationRecord, addInputs } from "./adaptation-record.ts";
import { type CloneGuestOptions, withCloneGuest } from "./clone-guest.ts";
import { withContentsDisk } from "./contents-disk.ts";
import { sentKeys } from "./disk-key.ts";
import { SystemNotAdaptedError } from "./errors.ts";
import {
  ADAPT_PORT,
  AdaptAnswer,
  type AdaptTask,
  type FileChange,
  INPUTS_AT_ONCE,
  MOST_CONTENT_BYTES,
} from "./messages.ts";

/** Between two frames: an initramfs is built by the system's own program, under emulation. */
const ANSWER_LIMIT_MS = 25 * 60_000;
/** An initramfs and the programs that build it are in the guest's memory at the same time. */
const LEAST_MEMORY_MIB = 1536;

export type CloneDisk = SourceDiskIdentity & GuestDisk;

export interface AdaptedClone extends CloneGuestOptions {
  /** The clone's disks, by the source's names of them. */
  disks: readonly CloneDisk[];
  /** A folder for the new contents of files, named by their SHA-256; made if it does not exist. */
  contentsDir: string;
  onProgress?: (on: string) => void;
}

/**
 * Finds out what has to change on a clone so that it starts on the machine. A guest tries it on throw-away
 * overlays, with the system's own programs; the disks stay as they are. Throws `SystemNotAdaptedError` if it
 * does not succeed, and what `withCloneGuest` throws.
 */
export async function computeOnClone(
  options: AdaptedClone,
  wanted: WantedMachine,
): Promise<AdaptationRecord> {
  await mkdir(options.contentsDir, { recursive: true, mode: 0o700 });
  const disks = attachedOf(options);
  return withGuest(options, "discarded", async (guest) => {
    await guest.ask({ task: "compute", disks, ...sentKeys(options.keys ?? []), wanted });
    const record: AdaptationRecord = {
      ...{ disks, wanted, inputs: {}, changes: [], commands: [], notes: [] },
    };
    let leftBytes = MOST_CONTENT_BYTES;
    for (;;) {
      const answer = await guest.answer();
      if (answer.say === "inputs") addInputs(record, answer.inputs);
      else if (answer.say === "change") {
        leftBytes -= answer.change.after?.sizeBytes ?? 0;
        if (leftBytes < 0 || record.changes.length === MOST_CHANGES)
          throw new GuestAnswerInvalidError("it changes more than a system has");
        await guest.saveContent(answer.change, options.contentsDir);
        record.changes.push(answer.change);
      } else if (answer.say === "computed")
        return { ...record, commands: answer.commands, notes: answer.notes };
      else throw new GuestAnswerInvalidError(`"${answer.say}" is no part of it`);
    }
  });
}

/**
 * Makes the recorded changes on a clone, and nothing else. If something that they were computed from is not
 * the same there, changes nothing and returns its names. Repeating it is harmless. Throws as
 * `computeOnClone` does.
 */
export async function applyToClone(
  options: AdaptedClone,
  { inputs, changes }: AdaptationRecord,
): Promise<{ stale: string[] }> {
  return withContentsDisk(options, changes, (contents) =>
    withGuest(
      options,
      "kept",
      async (guest) => {
        await guest.ask({ task: "apply", disks: attachedOf(options), ...sentKeys(options.keys ?? []) });
        const all = Object.entries(inputs);
        for (let at = 0; at < all.length; at += INPUTS_AT_ONCE)
          await guest.ask({ task: "inputs", inputs: all.slice(at, at + INPUTS_AT_ONCE) });
        for (const change of changes) {
          const offset = change.after && contents.offsets.get(change.after.sha256);
          await guest.ask({ task: "change", change, ...(offset === undefined ? {} : { offset }) });
        }
        await guest.ask({ task: "end" });
        const answer = await guest.answer();
        if (answer.say === "stale") return { stale: answer.inputs };
        if (answer.say === "applied") return { stale: [] };
        throw new GuestAnswerInvalidError(`"${answer.say}" is no part of it`);
      },
      [contents],
    ),
  );
}

function attachedOf({ disks }: AdaptedClone): SourceDiskIdentity[] {
  return disks.map(({ name, serial, wwid, isOnly }) => ({
    name,
    ...(serial === undefined ? {} : { serial }),
    ...(wwid === undefined ? {} : { wwid }),
    ...(isOnly === undefined ? {} : { isOnly }),
  }));
}

function withGuest<T>(
  { onProgress, ...options }: AdaptedClone,
  changes: "kept" | "discarded",
  work: (guest: AdaptingGuestSide) => Promise<T>,
  readDisks: readonly GuestDisk[] = [],
): Promise<T> {
  const disks = changes === "kept" ? "partly changed" : "unchanged";
  const lateError = (why: string) => new SystemNotAdaptedError(why, disks);
  return withCloneGuest(
    options,
    { mode: "adapt", portName: ADAPT_PORT, changes, readDisks, leastMemoryMiB: LEAST_MEMORY_MIB, lateError },
    async (channel) => {
      const guest = new AdaptingGuestSide(channel, onProgress);
      await guest.awaitReady();
      return work(guest);
    },
  );
}

/** The guest, seen from this machine: what it says is checked. */
class AdaptingGuestSide {
  readonly #channel: GuestChannel;
  readonly #onProgress: ((on: string) => void) | undefined;

  constructor(channel: GuestChannel, onProgress: ((on: string) => void) | undefined) {
    this.#channel = channel;
    this.#onProgress = onProgress;
  }

  async awaitReady(): Promise<void> {
    const message = AdaptAnswer.safeParse(messageIn(await this.#channel.next(ANSWER_LIMIT_MS))).data;
    if (message?.say !== "ready") throw new GuestAnswerInvalidError("it does not begin with its greeting");
  }

  ask(task: AdaptTask): Promise<void> {
    return this.#channel.send(messageFrame(task));
  }

  async answer(): Promise<AdaptAnswer> {
    for (;;) {
      const answer = AdaptAnswer.safeParse(messageIn(await this.#channel.next(ANSWER_LIMIT_MS))).data;
      if (!answer) throw new GuestAnswerInvalidError("a message has an unknown form");
      if (answer.say === "failed")
        throw new SystemNotAdaptedError(
          printable(answer.detail),
          answer.hasWritten ? "partly changed" : "unchanged",
        );
      if (answer.say !== "working") return answer;
      this.#onProgress?.(printable(answer.on));
    }
  }

  /** Writes the content that follows a change. */
  async saveContent({ after }: FileChange, folder: string): Promise<void> {
    if (!after) return;
    const path = join(folder, after.sha256);
    const partial = `${path}.partial`;
    const digest = createHash("sha256");
    const file = await open(partial, "w", 0o600);
    try {
      for (let left = after.sizeBytes; left > 0; ) {
        const { kind, content } = await this.#channel.next(ANSWER_LIMIT_MS);
        if (kind !== FRAME.data || content.length > left)
          throw new GuestAnswerInvalidError("a file has another size than its change says");
        digest.update(content);
        await file.write(content);
        left -= content.length;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    if (digest.digest("hex") !== after.sha256)
      throw new GuestAnswerInvalidError("a file has another content than its change says");
    await rename(partial, path);
  }
}
