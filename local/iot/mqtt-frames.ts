/** One MQTT control packet as sent on the wire. */
export interface Frame {
  type: number;
  /** The low four bits of the first byte. */
  flags: number;
  /** The whole packet, including the fixed header. */
  bytes: Buffer;
  /** Where the part after the fixed header begins. */
  bodyOffset: number;
}

export const PUBLISH = 3;
export const SUBSCRIBE = 8;
export const DISCONNECT = 14;

/** The other side broke the framing, or sent a packet above the size limit. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

/** Cuts a byte stream into MQTT packets, holding at most one incomplete packet of at most `maxBytes`. */
export class FrameSplitter {
  readonly #maxBytes: number;
  #pending: Buffer = Buffer.alloc(0);

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Returns the packets that this chunk completes. Throws `FrameError` as soon as one is known to be too
   * large.
   */
  push(chunk: Buffer): Frame[] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const frames: Frame[] = [];
    for (;;) {
      const frame = this.#next();
      if (!frame) return frames;
      frames.push(frame);
    }
  }

  #next(): Frame | undefined {
    const header = readHeader(this.#pending);
    if (!header) return undefined;
    if (header.totalBytes > this.#maxBytes) {
      throw new FrameError(`a packet of ${header.totalBytes} bytes is over the limit of ${this.#maxBytes}`);
    }
    if (this.#pending.length < header.totalBytes) return undefined;
    const bytes = this.#pending.subarray(0, header.totalBytes);
    this.#pending = this.#pending.subarray(header.totalBytes);
    const first = bytes.readUInt8(0);
    return { type: first >> 4, flags: first & 0x0f, bytes, bodyOffset: header.bodyOffset };
  }
}

/** The topic of a PUBLISH packet. Returns `undefined` if the packet is malformed. */
export function publishTopic(frame: Frame): string | undefined {
  return readString(frame, frame.bodyOffset)?.text;
}

/** The number of topic filters in a SUBSCRIBE packet. Counting stops at a malformed one. */
export function countSubscriptions(frame: Frame): number {
  const PACKET_ID_BYTES = 2;
  const QOS_BYTES = 1;
  let count = 0;
  let filter = readString(frame, frame.bodyOffset + PACKET_ID_BYTES);
  while (filter) {
    count++;
    filter = readString(frame, filter.end + QOS_BYTES);
  }
  return count;
}

function readHeader(bytes: Buffer): { totalBytes: number; bodyOffset: number } | undefined {
  const MAX_LENGTH_BYTES = 4;
  let remaining = 0;
  for (let index = 1; index <= MAX_LENGTH_BYTES; index++) {
    const byte = bytes[index];
    if (byte === undefined) return undefined;
    remaining += (byte & 0x7f) * 128 ** (index - 1);
    if ((byte & 0x80) === 0) return { totalBytes: index + 1 + remaining, bodyOffset: index + 1 };
  }
  throw new FrameError("the length of a packet is malformed");
}

function readString({ bytes }: Frame, offset: number): { text: string; end: number } | undefined {
  const LENGTH_BYTES = 2;
  if (offset + LENGTH_BYTES > bytes.length) return undefined;
  const end = offset + LENGTH_BYTES + bytes.readUInt16BE(offset);
  if (end > bytes.length) return undefined;
  return { text: bytes.toString("utf8", offset + LENGTH_BYTES, end), end };
}
