/**
 * Frames of the channel between a browsing operator's machine and the guest: a kind, a length, and a content.
 */

const HEADER_BYTES = 5;
/** No side needs more in one piece, and each keeps at most one. */
const MOST_FRAME_BYTES = 256 * 1024;

export const FRAME = { message: 1, data: 2 } as const;

export interface ChannelFrame {
  kind: (typeof FRAME)[keyof typeof FRAME];
  content: Buffer;
}

/** The other side sends something that is not a frame. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

export function channelFrame(kind: ChannelFrame["kind"], content: Uint8Array): Buffer {
  if (content.length > MOST_FRAME_BYTES) throw new RangeError(`a frame of ${content.length} bytes`);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(kind, 0);
  header.writeUInt32BE(content.length, 1);
  return Buffer.concat([header, content]);
}

export function messageFrame(message: unknown): Buffer {
  return channelFrame(FRAME.message, Buffer.from(JSON.stringify(message), "utf8"));
}

/** Takes bytes as they arrive and returns the frames that are complete. Keeps at most one frame. */
export class FrameParser {
  #kept: Buffer = Buffer.alloc(0);

  /** Throws `FrameError`. */
  *add(bytes: Uint8Array): Generator<ChannelFrame, void> {
    this.#kept = Buffer.concat([this.#kept, bytes]);
    for (;;) {
      if (this.#kept.length < HEADER_BYTES) return;
      const kind = this.#kept.readUInt8(0);
      if (kind !== FRAME.message && kind !== FRAME.data) throw new FrameError(`a frame of kind ${kind}`);
      const length = this.#kept.readUInt32BE(1);
      if (length > MOST_FRAME_BYTES) throw new FrameError(`a frame of ${length} bytes`);
      const end = HEADER_BYTES + length;
      if (this.#kept.length < end) return;
      const content = this.#kept.subarray(HEADER_BYTES, end);
      this.#kept = this.#kept.subarray(end);
      yield { kind, content };
    }
  }
}

/** The message of a frame as JSON; `undefined` if it is none. */
export function messageIn({ kind, content }: ChannelFrame): unknown {
  if (kind !== FRAME.message) return undefined;
  try {
    return JSON.parse(content.toString("utf8"));
  } catch {
    return undefined;
  }
}
