/**
 * A source, a target host, the control plane, and a network that keeps every message and delivers it at any
 * time, any number of times, or never.
 */
import { LeaseEndedError, WrongStateError } from "../../errors.ts";
import { type Fence, fencedFor, unfencedAfter } from "../fence.ts";
import { closedHolding, extendedHolding, type Holding, heldTerm, mayRun } from "../holding.ts";
import {
  begunLease,
  endingLease,
  grantedLease,
  type LeaseRecord,
  noLease,
  permanentLease,
  renewedLease,
  returnedLease,
} from "../lease.ts";

type Message =
  | { to: "source"; kind: "fence" | "unfence"; term: number }
  | { to: "target"; kind: "run"; term: number }
  | { to: "target"; kind: "stop"; term: number }
  | { to: "target"; kind: "renewed"; term: number; sentAtMs: number; isPermanent: boolean }
  | { to: "control-plane"; kind: "fenced"; term: number }
  | { to: "control-plane"; kind: "off"; term: number }
  | { to: "control-plane"; kind: "renew"; term: number; sentAtMs: number };

const STEP_MS = 500;
/** The bounds that `LEASE_MARGIN_SECONDS` is made of. */
export const PAUSING_MS = 5000;
export const CLOCKS_DIFFER_MS = 5000;
export const MAX_DRIFT = 0.01;

const holder = { ownerId: "cnv_1", targetId: "agt_target" };
const START_MS = Date.UTC(2030, 0, 1);

export class LeaseWorld {
  lease: LeaseRecord = noLease("agt_source");
  fence: Fence = { term: 0, isUp: false };
  holding: Holding | undefined;
  /** Whether the agents run. What they have kept survives. */
  alive = { source: true, target: true };
  /** Whether the source's machine is on. */
  sourceOn = true;
  /** Where both ran, if ever. */
  bothAtMs: number | undefined;
  readonly messages: Message[] = [];
  #elapsedMs = 0;
  #fencedTerm = 0;
  readonly #drift: number;

  /** `drift`: how much faster the target host's clock is. */
  constructor(drift: number) {
    this.#drift = drift;
  }

  get sourceRuns(): boolean {
    return this.sourceOn && !this.fence.isUp;
  }

  /** The guard pauses late, and is the only thing that works when the agent does not. */
  get targetRuns(): boolean {
    return this.holding !== undefined && mayRun(this.holding, this.#targetMs - PAUSING_MS);
  }

  wait(seconds: number): void {
    for (let left = seconds * 1000; left > 0; left -= STEP_MS) {
      this.#elapsedMs += STEP_MS;
      this.#look();
    }
  }

  /** `skewMs`: of the function's clock that carries it out. */
  control(action: "begin" | "grant" | "end" | "return" | "commit", skewMs = 0): void {
    const { lease } = this;
    const now = this.#now(skewMs);
    try {
      if (action === "begin") {
        this.lease = begunLease(lease, holder);
        this.messages.push({ to: "source", kind: "fence", term: this.lease.term });
      } else if (action === "grant" && this.#fencedTerm === lease.term) {
        this.lease = grantedLease(lease, holder.ownerId, "fenced");
        this.messages.push({ to: "target", kind: "run", term: lease.term });
      } else if (action === "end") {
        this.lease = endingLease(lease, holder.ownerId);
        this.messages.push({ to: "target", kind: "stop", term: lease.term });
      } else if (action === "commit") this.lease = permanentLease(lease, holder.ownerId);
      else if (action === "return") this.#return(false, now);
    } catch (error) {
      if (!(error instanceof WrongStateError)) throw error;
    }
    this.#look();
  }

  /** The target's agent asks for time. */
  renew(): void {
    if (!this.alive.target || !this.holding || this.holding.isClosed) return;
    const { term } = this.holding;
    this.messages.push({ to: "control-plane", kind: "renew", term, sentAtMs: this.#targetMs });
  }

  /** A message arrives; it may arrive again later. */
  deliver(index: number, skewMs = 0): void {
    const message = this.messages[index % Math.max(1, this.messages.length)];
    if (message?.to === "source") this.#atSource(message);
    else if (message?.to === "target") this.#atTarget(message);
    else if (message) this.#atControlPlane(message, this.#now(skewMs));
    this.#look();
  }

  lose(index: number): void {
    this.messages.splice(index % Math.max(1, this.messages.length), 1);
  }

  /** What is pending is sent again, and everything arrives in order, once. */
  deliverAll(): void {
    while (this.messages.length > 0) {
      this.deliver(0);
      this.messages.shift();
    }
  }

  #atSource({ kind, term }: Message & { to: "source" }): void {
    if (!this.alive.source || !this.sourceOn) return;
    this.fence = kind === "fence" ? fencedFor(this.fence, term) : unfencedAfter(this.fence, term);
    if (kind === "fence" && this.fence.isUp && this.fence.term === term)
      this.messages.push({ to: "control-plane", kind: "fenced", term });
  }

  #atTarget(message: Message & { to: "target" }): void {
    if (!this.alive.target) return;
    if (message.kind === "run") this.holding = heldTerm(this.holding, message.term);
    else if (message.kind === "renewed")
      this.holding = this.holding && extendedHolding(this.holding, message);
    else {
      this.holding = closedHolding(this.holding, message.term);
      this.messages.push({ to: "control-plane", kind: "off", term: message.term });
    }
  }

  #atControlPlane(message: Message & { to: "control-plane" }, now: string): void {
    const { term } = message;
    if (message.kind === "fenced") this.#fencedTerm = term;
    else if (message.kind === "off") {
      if (term === this.lease.term) this.#return(true, now);
    } else {
      try {
        this.lease = renewedLease(this.lease, { ...holder, term }, now);
        const isPermanent = this.lease.state === "permanent";
        const { sentAtMs } = message;
        this.messages.push({ to: "target", kind: "renewed", term, sentAtMs, isPermanent });
      } catch (error) {
        if (!(error instanceof LeaseEndedError)) throw error;
      }
    }
  }

  #return(isOff: boolean, now: string): void {
    const { term, state } = this.lease;
    this.lease = returnedLease(this.lease, { ownerId: holder.ownerId, isOff, now });
    if (this.lease.state === "none" && state !== "none")
      this.messages.push({ to: "source", kind: "unfence", term });
  }

  get #targetMs(): number {
    return this.#elapsedMs * (1 + this.#drift);
  }

  #now(skewMs: number): string {
    return new Date(START_MS + this.#elapsedMs + skewMs).toISOString();
  }

  #look(): void {
    if (this.sourceRuns && this.targetRuns) this.bothAtMs ??= this.#elapsedMs;
  }
}
