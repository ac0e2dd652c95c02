import { GuestAnswerInvalidError } from "./errors.ts";
import { type ChannelFrame, FRAME, messageIn } from "./frames.ts";
import { type Entry, GuestMessage } from "./messages.ts";

export type ReplyPart =
  /** `first`: the path at which the same file came before. */
  | { kind: "entry"; entry: Entry; path: readonly Buffer[]; first?: readonly Buffer[] }
  | { kind: "data"; bytes: Buffer }
  | { kind: "failed"; failure: Extract<GuestMessage, { say: "failed" }> }
  | { kind: "end" };

/** Linux allows no path with more names. */
const MOST_DEPTH = 2048;
/** A list may be kept in memory whole. No tool is quick with a folder like that. */
const MOST_LISTED = 1_000_000;

/**
 * Checks, frame by frame, the guest's answer to `list` or `content`. The answer has one tree: an entry is
 * inside of the folder that was entered last, and its path is made here from single names, so no path leads
 * anywhere else. A file has exactly as many bytes as its entry says. Another name of a file leads to a path
 * that came before. Pure.
 */
export class ReplyChecker {
  readonly #withContent: boolean;
  /** The folders that are open, by name; the first is what was asked for. */
  readonly #open: Buffer[] = [];
  /** Of the files with several names, the path of the first. */
  readonly #shared: (readonly Buffer[])[] = [];
  #started = false;
  #entries = 0;
  #leftBytes = 0;
  #ended = false;

  constructor(question: "list" | "content") {
    this.#withContent = question === "content";
  }

  /** Throws `GuestAnswerInvalidError`. A frame that only closes a folder gives `undefined`. */
  take(frame: ChannelFrame): ReplyPart | undefined {
    if (this.#ended) throw invalid("it continues after its end");
    if (frame.kind === FRAME.data) return this.#data(frame.content);
    const message = GuestMessage.safeParse(messageIn(frame)).data;
    if (!message) throw invalid("a message has an unknown form");
    if (message.say === "failed") {
      this.#ended = true;
      return { kind: "failed", failure: message };
    }
    if (this.#leftBytes > 0) throw invalid("a file is shorter than its entry says");
    if (message.say === "entry") return this.#entry(message);
    if (message.say === "leave") return this.#leave();
    if (message.say !== "end") throw invalid(`"${message.say}" is no part of it`);
    if (!this.#started || this.#open.length > 0) throw invalid("it ends within a folder");
    this.#ended = true;
    return { kind: "end" };
  }

  #data(bytes: Buffer): ReplyPart {
    if (bytes.length > this.#leftBytes) throw invalid("a file is longer than its entry says");
    this.#leftBytes -= bytes.length;
    return { kind: "data", bytes };
  }

  #entry(entry: Entry): ReplyPart {
    const isFirst = !this.#started;
    if (!isFirst && this.#open.length === 0) throw invalid("there is more than what was asked for");
    if (!isFirst && entry.name.length === 0) throw invalid("an entry has no name");
    if (entry.name.length === 0 && entry.type !== "folder") throw invalid("the top is not a folder");
    if ((entry.type === "link") !== (entry.target !== undefined)) throw invalid("a link leads nowhere");
    if (entry.type !== "file" && entry.sizeBytes !== 0) throw invalid("something else than a file has bytes");
    this.#started = true;
    this.#entries += 1;
    if (!this.#withContent && this.#entries > MOST_LISTED)
      throw invalid("a folder has more entries than can be listed");
    const path = [...this.#open, entry.name];
    const first = this.#firstPath(entry, path);
    if (this.#withContent && entry.type === "file") this.#leftBytes = entry.sizeBytes;
    if (entry.type === "folder" && (isFirst || this.#withContent)) {
      if (path.length > MOST_DEPTH) throw invalid("folders are nested too deeply");
      this.#open.push(entry.name);
    }
    return { kind: "entry", entry, path, ...(first && { first }) };
  }

  #firstPath({ shared, type, sizeBytes }: Entry, path: readonly Buffer[]): readonly Buffer[] | undefined {
    if (shared === undefined) return undefined;
    if (type !== "file" || !this.#withContent) throw invalid("something has several names that cannot");
    if (shared > this.#shared.length) throw invalid("a file has a name, and its first one did not come");
    const first = this.#shared[shared];
    if (!first) this.#shared.push(path);
    else if (sizeBytes !== 0) throw invalid("another name of a file has bytes");
    return first;
  }

  #leave(): undefined {
    if (this.#open.pop() === undefined) throw invalid("it leaves a folder that it did not enter");
  }
}

function invalid(why: string): GuestAnswerInvalidError {
  return new GuestAnswerInvalidError(why);
}
