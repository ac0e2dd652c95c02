/** The source of a cutover's site: which system it runs, and whether that serves. */
import { type Fence, fencedFor, unfencedAfter } from "#shared/domain/fence.ts";
import type { AgentSystem } from "#shared/protocol/machine.ts";
import { aDevice, aReceipt, type TestDevice } from "./device.ts";

let device: TestDevice;

/** Of the source's agent. Made once: making a key takes time. */
export async function sourceDevice(): Promise<TestDevice> {
  device ??= await aDevice();
  return device;
}

/** Its own system says how it found its boot state. */
export function attested({ conversionId }: Record<string, unknown>): object {
  return { receipt: aReceipt(device, { conversionId: String(conversionId) }) };
}

export class SiteSource {
  fence: Fence = { term: 0, isUp: false };
  /** `none`: it hangs. */
  system: AgentSystem | "off" | "none" = "original";
  /** Counts its starts. */
  #boots = 1;
  /** Of the leases: for which its own system was prepared to be fenced at its return, and for which it is. */
  #returning: { prepared?: number; fenced?: number } = {};

  /** Whether its own system lets its services run. */
  get serves(): boolean {
    return this.system === "original" && !this.fence.isUp;
  }

  get bootId(): string {
    return `boot-${this.#boots}`;
  }

  /** A fence that does not last ends with the restart; one that the boot environment extended does not. */
  start(system: AgentSystem | "none"): void {
    this.system = system;
    this.#boots++;
    const { prepared, fenced } = this.#returning;
    const hasEnded = this.fence.term === prepared && fenced !== prepared;
    if (system === "original" && hasEnded) this.fence = { ...this.fence, isUp: false };
  }

  arm(): { bootId: string } {
    this.#returning = { prepared: this.fence.term };
    return { bootId: this.bootId };
  }

  /** `more`: what the agent says besides of a fence that it puts up. */
  setFence({ isUp, term }: Record<string, unknown>, more: object): object {
    const isThere = this.system === "boot-environment";
    if (isThere) this.#returning.fenced = Number(term);
    else this.fence = (isUp ? fencedFor : unfencedAfter)(this.fence, Number(term));
    return { ...this.fence, services: this.fence.isUp ? ["db.service"] : [], ...more };
  }

  switchOff(): void {
    if (!this.fence.isUp) throw new Error("a source that serves was switched off");
    if (this.system === "boot-environment") this.system = "off";
  }
}
