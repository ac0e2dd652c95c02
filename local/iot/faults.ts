/**
 * Test port: makes the faults of a bad network or a restarting broker. Only tests pass one to the broker. It
 * sees only PUBLISH packets, so connections and acknowledgements stay intact. The sender of a dropped QoS 1
 * message therefore sends it again when it reconnects.
 */
import type { Clock, Timer } from "../core/service.ts";

export interface MessageFaults {
  /** Decides what happens to this message. Called once for each message, in sending order. */
  decide(message: FaultyMessage): Fault;
}

export interface FaultyMessage {
  direction: "to-broker" | "to-client";
  /** Empty until the client has sent its client id. */
  clientId: string;
  topic: string;
}

export type Fault =
  | { kind: "pass" }
  | { kind: "drop" }
  | { kind: "duplicate" }
  /** Later messages overtake it. */
  | { kind: "delay"; delayMs: number }
  /** The message is sent right after the next one of this connection and direction. */
  | { kind: "swap" };

/** Applies the faults to the messages of one connection and direction. */
export class FaultyLane {
  readonly #faults: MessageFaults;
  readonly #clock: Clock;
  readonly #pass: (bytes: Buffer) => void;
  readonly #timers = new Set<Timer>();
  #swapped: Buffer[] = [];

  constructor(options: { faults: MessageFaults; clock: Clock; pass: (bytes: Buffer) => void }) {
    this.#faults = options.faults;
    this.#clock = options.clock;
    this.#pass = options.pass;
  }

  send(message: FaultyMessage, bytes: Buffer): void {
    const fault = this.#faults.decide(message);
    if (fault.kind === "swap") {
      this.#swapped.push(bytes);
      return;
    }
    if (fault.kind === "delay") this.#delay(bytes, fault.delayMs);
    if (fault.kind === "pass" || fault.kind === "duplicate") this.#pass(bytes);
    if (fault.kind === "duplicate") this.#pass(bytes);
    const swapped = this.#swapped;
    this.#swapped = [];
    for (const earlier of swapped) this.#pass(earlier);
  }

  /** Messages still held back are lost, as with a broken connection. */
  close(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#swapped = [];
  }

  #delay(bytes: Buffer, delayMs: number): void {
    const timer = this.#clock.schedule(delayMs, () => {
      this.#timers.delete(timer);
      this.#pass(bytes);
    });
    this.#timers.add(timer);
  }
}
