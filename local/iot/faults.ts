/**
 * Test port: what a bad network or a restarting broker does to messages. Only tests give the broker one. It
 * sees PUBLISH packets only, so connections and acknowledgements stay intact: a dropped message of QoS 1 is
 * therefore sent again when its sender reconnects.
 */
import type { Clock, Timer } from "../core/service.ts";

export interface MessageFaults {
  /** Decides what to do with this message. Called once for each message, in the order of sending. */
  decide(message: FaultyMessage): Fault;
}

export interface FaultyMessage {
  direction: "to-broker" | "to-client";
  /** Empty before the client has named itself. */
  clientId: string;
  topic: string;
}

export type Fault =
  | { kind: "pass" }
  | { kind: "drop" }
  | { kind: "duplicate" }
  /** Later messages overtake it. */
  | { kind: "delay"; delayMs: number }
  /** It goes right after the next message of this connection and direction. */
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

  /** What is still held back is lost, as with a broken connection. */
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
