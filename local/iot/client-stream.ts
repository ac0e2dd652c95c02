import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../core/service.ts";
import { FaultyLane, type FaultyMessage, type MessageFaults } from "./faults.ts";
import {
  countSubscriptions,
  DISCONNECT,
  type Frame,
  FrameError,
  FrameSplitter,
  PUBLISH,
  publishTopic,
  SUBSCRIBE,
} from "./mqtt-frames.ts";

/** AWS IoT's limit for a message's payload. */
export const MAX_PAYLOAD_BYTES = 128 * 1024;
// Leaves room for topic, packet id and headers. The payload's own size is checked when it is published.
const MAX_PACKET_BYTES = MAX_PAYLOAD_BYTES + 4096;
const MAX_FILTERS_PER_SUBSCRIBE = 8;
const LINGER_MS = 2000;

/**
 * A device's TLS connection as the MQTT engine reads it: whole packets of bounded size. It records whether
 * the device disconnected properly. Tests inject faults here.
 */
export class ClientStream extends Duplex {
  clientId = "";
  /** Whether the device ended the session with a DISCONNECT packet. */
  saidGoodbye = false;
  readonly #socket: TLSSocket;
  readonly #inbound = new FrameSplitter(MAX_PACKET_BYTES);
  readonly #outbound = new FrameSplitter(Number.POSITIVE_INFINITY);
  #ended = false;
  readonly #lanes: { inbound: FaultyLane; outbound: FaultyLane } | undefined;

  constructor(socket: TLSSocket, options: { clock: Clock; faults?: MessageFaults }) {
    // Destroyed with its socket, after the last bytes were read.
    super({ autoDestroy: false, emitClose: true });
    this.#socket = socket;
    const { clock, faults } = options;
    this.#lanes = faults && {
      inbound: new FaultyLane({ faults, clock, pass: (bytes) => this.#toBroker(bytes) }),
      outbound: new FaultyLane({ faults, clock, pass: (bytes) => socket.write(bytes) }),
    };
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("end", () => this.#end());
    socket.on("error", (error) => this.destroy(error));
    socket.on("close", () => this.destroy());
  }

  /** Cuts the connection at once. Bytes still on their way are lost. */
  cut(): void {
    this.#socket.destroy();
    this.destroy();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const flushed = this.#lanes ? this.#writeWithFaults(chunk) : this.#socket.write(chunk);
    if (flushed || this.#socket.destroyed) done();
    else this.#socket.once("drain", done);
  }

  /** One TLS record for the many small writes that make up a packet. */
  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "buffer", done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#lanes?.inbound.close();
    this.#lanes?.outbound.close();
    // The last answer, such as a refusal, is still sent, but a peer that does not read cannot block the
    // broker.
    this.#socket.setTimeout(LINGER_MS, () => this.#socket.destroy());
    this.#socket.destroySoon();
    done(error);
  }

  #receive(chunk: Buffer): void {
    if (this.destroyed) return;
    try {
      for (const frame of this.#inbound.push(chunk)) this.#receiveFrame(frame);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.destroy(error);
    }
  }

  #receiveFrame(frame: Frame): void {
    if (frame.type === DISCONNECT) this.saidGoodbye = true;
    if (frame.type === SUBSCRIBE && countSubscriptions(frame) > MAX_FILTERS_PER_SUBSCRIBE) {
      throw new FrameError(`more than ${MAX_FILTERS_PER_SUBSCRIBE} filters in one subscription request`);
    }
    if (frame.type === PUBLISH && this.#lanes) {
      this.#lanes.inbound.send(this.#describe(frame, "to-broker"), frame.bytes);
    } else this.#toBroker(frame.bytes);
  }

  #end(): void {
    this.#ended = true;
    this.push(null);
  }

  #toBroker(bytes: Buffer): void {
    if (this.#ended) return;
    if (!this.push(bytes)) this.#socket.pause();
  }

  #writeWithFaults(chunk: Buffer): boolean {
    for (const frame of this.#outbound.push(chunk)) {
      if (frame.type === PUBLISH && this.#lanes) {
        this.#lanes.outbound.send(this.#describe(frame, "to-client"), frame.bytes);
      } else this.#socket.write(frame.bytes);
    }
    return !this.#socket.writableNeedDrain;
  }

  #describe(frame: Frame, direction: FaultyMessage["direction"]): FaultyMessage {
    return { direction, clientId: this.clientId, topic: publishTopic(frame) ?? "" };
  }
}
