/**
 * The network block device protocol, as far as a server needs it that only reads: fixed newstyle negotiation,
 * simple replies. https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
 */

const GREETING = Buffer.from("NBDMAGICIHAVEOPT");
const OPTION_MAGIC = GREETING.subarray(8);
const OPTION_REPLY_MAGIC = 0x3e889045565a9n;
const REQUEST_MAGIC = 0x25609513;
const REPLY_MAGIC = 0x67446698;

const HANDSHAKE = { fixedNewstyle: 1, noZeroes: 2 } as const;
const OPTION_HEADER_BYTES = 16;
const REQUEST_BYTES = 28;
/** A name has at most 4096 bytes, and no list of what a client wants to know is near this. */
const MOST_OPTION_BYTES = 64 * 1024;
/** The most that a client may ask for without having been told a limit. */
export const MOST_READ_BYTES: number = 32 * 1024 * 1024;

export const OPTION = { exportName: 1, abort: 2, list: 3, info: 6, go: 7 } as const;
export const OPTION_REPLY = {
  ack: 1,
  server: 2,
  info: 3,
  unsupported: 0x80000001,
  invalid: 0x80000003,
  unknown: 0x80000006,
} as const;
export const COMMAND = { read: 0, write: 1, disconnect: 2, flush: 3 } as const;
/** Errors of replies, as errno names them. */
export const FAULT = { none: 0, notPermitted: 1, io: 5, invalid: 22 } as const;

const EXPORT_FLAGS = { hasFlags: 1, readOnly: 2, sendsFlush: 4 } as const;
const TRANSMISSION_FLAGS = EXPORT_FLAGS.hasFlags | EXPORT_FLAGS.readOnly | EXPORT_FLAGS.sendsFlush;
const INFO = { export: 0, blockSize: 3 } as const;
const PREFERRED_READ_BYTES = 64 * 1024;
const OLD_ZEROES = 124;

export type NbdMessage =
  | { kind: "option"; option: number; data: Buffer }
  | { kind: "request"; command: number; cookie: bigint; offset: bigint; bytes: number };

/** The client breaks the protocol; the connection cannot be continued. */
export class NbdProtocolError extends Error {
  override readonly name = "NbdProtocolError";
}

/**
 * Takes a client's bytes as they arrive and returns the messages that are complete. Keeps at most one message
 * of 64 KiB; what a client sends to be written is counted and dropped.
 */
export class NbdParser {
  #kept = Buffer.alloc(0);
  #drop = 0;
  #phase: "flags" | "options" | "requests" = "flags";
  #noZeroes = false;

  /** Whether an answer to `exportName` ends without zeroes. Known once the first option has arrived. */
  get noZeroes(): boolean {
    return this.#noZeroes;
  }

  /** From here on the client sends requests. Called when an option has chosen the export. */
  startRequests(): void {
    this.#phase = "requests";
  }

  add(bytes: Uint8Array): void {
    this.#kept = Buffer.concat([this.#kept, bytes]);
  }

  /** The next message, once it is complete. Throws `NbdProtocolError`. */
  next(): NbdMessage | undefined {
    const dropped = Math.min(this.#drop, this.#kept.length);
    this.#drop -= dropped;
    this.#kept = this.#kept.subarray(dropped);
    if (this.#drop > 0) return undefined;
    if (this.#phase === "flags" && !this.#takeFlags()) return undefined;
    return this.#phase === "options" ? this.#option() : this.#request();
  }

  #takeFlags(): boolean {
    if (this.#kept.length < 4) return false;
    const flags = this.#take(4).readUInt32BE(0);
    if ((flags & HANDSHAKE.fixedNewstyle) === 0 || flags > 3)
      throw new NbdProtocolError(`handshake flags ${flags}`);
    this.#noZeroes = (flags & HANDSHAKE.noZeroes) !== 0;
    this.#phase = "options";
    return true;
  }

  #option(): NbdMessage | undefined {
    if (this.#kept.length < OPTION_HEADER_BYTES) return undefined;
    if (!this.#kept.subarray(0, 8).equals(OPTION_MAGIC)) throw new NbdProtocolError("no option");
    const bytes = this.#kept.readUInt32BE(12);
    if (bytes > MOST_OPTION_BYTES) throw new NbdProtocolError(`an option of ${bytes} bytes`);
    if (this.#kept.length < OPTION_HEADER_BYTES + bytes) return undefined;
    const whole = this.#take(OPTION_HEADER_BYTES + bytes);
    return { kind: "option", option: whole.readUInt32BE(8), data: whole.subarray(OPTION_HEADER_BYTES) };
  }

  #request(): NbdMessage | undefined {
    if (this.#kept.length < REQUEST_BYTES) return undefined;
    if (this.#kept.readUInt32BE(0) !== REQUEST_MAGIC) throw new NbdProtocolError("no request");
    const header = this.#take(REQUEST_BYTES);
    const command = header.readUInt16BE(6);
    const bytes = header.readUInt32BE(24);
    if (command === COMMAND.write) this.#drop = bytes;
    const [cookie, offset] = [header.readBigUInt64BE(8), header.readBigUInt64BE(16)];
    return { kind: "request", command, cookie, offset, bytes };
  }

  #take(bytes: number): Buffer {
    const taken = this.#kept.subarray(0, bytes);
    this.#kept = this.#kept.subarray(bytes);
    return taken;
  }
}

/** The name of the export that `info` or `go` asks for; `undefined` if the option is malformed. */
export function requestedExport(data: Buffer): string | undefined {
  if (data.length < 6) return undefined;
  const nameBytes = data.readUInt32BE(0);
  if (nameBytes > data.length - 6) return undefined;
  const wanted = data.readUInt16BE(4 + nameBytes);
  if (data.length !== 6 + nameBytes + wanted * 2) return undefined;
  return data.toString("utf8", 4, 4 + nameBytes);
}

/** What the server sends first. */
export function nbdGreeting(): Buffer {
  const flags = Buffer.alloc(2);
  flags.writeUInt16BE(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes);
  return Buffer.concat([GREETING, flags]);
}

export function optionReply(option: number, reply: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(20);
  header.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0);
  header.writeUInt32BE(option, 8);
  header.writeUInt32BE(reply, 12);
  header.writeUInt32BE(data.length, 16);
  return Buffer.concat([header, data]);
}

/** An export's entry in the answer to `list`. */
export function listedExport(name: string): Buffer {
  const bytes = Buffer.from(name, "utf8");
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** The answer to `exportName`, after which the client sends requests. */
export function exportAnswer(sizeBytes: number, noZeroes: boolean): Buffer {
  return Buffer.concat([sizeAndFlags(sizeBytes), Buffer.alloc(noZeroes ? 0 : OLD_ZEROES)]);
}

/** The answers to `info` and `go`: size and flags of the export, and the sizes of good reads. */
export function exportInfo(sizeBytes: number): Buffer[] {
  const kind = Buffer.alloc(2);
  kind.writeUInt16BE(INFO.export);
  const sizes = Buffer.alloc(14);
  sizes.writeUInt16BE(INFO.blockSize, 0);
  sizes.writeUInt32BE(1, 2);
  sizes.writeUInt32BE(PREFERRED_READ_BYTES, 6);
  sizes.writeUInt32BE(MOST_READ_BYTES, 10);
  return [Buffer.concat([kind, sizeAndFlags(sizeBytes)]), sizes];
}

function sizeAndFlags(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeBigUInt64BE(BigInt(sizeBytes), 0);
  bytes.writeUInt16BE(TRANSMISSION_FLAGS, 8);
  return bytes;
}

/** The header of a reply; the bytes of a successful read follow it. */
export function replyHeader(cookie: bigint, fault: number): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32BE(REPLY_MAGIC, 0);
  header.writeUInt32BE(fault, 4);
  header.writeBigUInt64BE(cookie, 8);
  return header;
}
