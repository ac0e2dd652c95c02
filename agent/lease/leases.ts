import * as z from "zod";
import { closedHolding, extendedHolding, type Holding, heldTerm, mayRun } from "#shared/domain/holding.ts";
import { failureOf, LeaseEndedError } from "#shared/errors.ts";
import type { Log } from "#shared/log.ts";
import { MachineName } from "#shared/protocol/defined-machine.ts";
import { AgentId, OwnerId } from "#shared/protocol/ids.ts";
import { retry } from "#shared/retry.ts";
import type { AgentRecords } from "../commands/agent-records.ts";
import type { LeasedMachine, MachineLeases } from "../commands/machine.ts";
import type { LeaseGuard } from "./lease-guard.ts";

/** What a target host keeps of a lease. How long it lasts is in the guard's file, until a restart. */
export const LeaseHeld = z.strictObject({
  ownerId: OwnerId,
  sourceId: AgentId,
  term: z.int().positive(),
  name: MachineName,
  uuid: z.uuid(),
  state: z.enum(["held", "permanent", "closed"]),
});
export type LeaseHeld = z.infer<typeof LeaseHeld>;

export interface LeasesDeps {
  records: Pick<AgentRecords<LeaseHeld>, "read" | "write" | "ids">;
  guard: Pick<LeaseGuard, "install" | "extend" | "remove">;
  /**
   * Asks the control plane for time. Rejects with `LeaseEndedError` if there is none to be had any more, and
   * with any other error if it did not answer.
   */
  renew: (ownerId: string, term: number) => Promise<{ isPermanent: boolean }>;
  /** To all processes of a machine. */
  signal: (uuid: string, signal: NodeJS.Signals) => Promise<unknown>;
  /** Whether a process of a machine is stopped by a signal. */
  isStopped: (uuid: string) => Promise<boolean>;
  /** See `uptimeMs`. */
  now: () => number;
  log: Log;
}

/** Four tries in the time of a lease. */
const RENEW_AGAIN_MS = 15_000;
const TRY_AGAIN_MS = 3_000;

/** The leases under which this target host runs machines. */
export class Leases implements MachineLeases {
  readonly #deps: LeasesDeps;
  readonly #holdings = new Map<string, Holding>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  /** Renewals whose answers are awaited, by `renewalKey`. */
  readonly #running = new Map<string, Promise<void>>();

  constructor(deps: LeasesDeps) {
    this.#deps = deps;
  }

  /**
   * After the agent has started: continues with every lease that it held, and logs those whose records it
   * cannot read. Each machine is for itself: none waits for the answer to another one's question.
   */
  async resume(): Promise<void> {
    const { records, log } = this.#deps;
    const resumeOne = async (ownerId: string) => {
      const held = await records.read(ownerId).catch((error: unknown) => {
        log.error("a lease cannot be read", { ownerId, failure: failureOf(error).message });
      });
      if (held && held.state !== "closed") await this.#renewAndContinue(held).catch(() => {});
    };
    await Promise.all((await records.ids()).map(resumeOne));
  }

  async open(machine: LeasedMachine, term: number, signal: AbortSignal): Promise<void> {
    const before = await this.#deps.records.read(machine.ownerId);
    if (before && (before.term > term || (before.term === term && before.state === "closed")))
      throw new LeaseEndedError(machine.sourceId, term);
    const { ownerId, sourceId, name, uuid } = machine;
    const isPermanent = before?.term === term && before.state === "permanent";
    const held: LeaseHeld = {
      ownerId,
      sourceId,
      name,
      uuid,
      term,
      state: isPermanent ? "permanent" : "held",
    };
    await this.#deps.records.write(ownerId, held);
    if (!isPermanent) await this.#deps.guard.install(held);
    // One that was asked for earlier may take away the guard that was just installed.
    await this.#running.get(renewalKey(held))?.catch(() => {});
    try {
      await retry(() => this.#renewAndContinue(held), {
        isRetryable: (error): error is unknown => !(error instanceof LeaseEndedError),
        delayMs: () => TRY_AGAIN_MS,
        // This asks again, so the timer must not.
        onRetry: () => clearTimeout(this.#timers.get(ownerId)),
        signal,
      });
    } catch (error) {
      if (!(error instanceof LeaseEndedError)) this.#continueLater(held, TRY_AGAIN_MS);
      throw error;
    }
  }

  async requireMayRun(ownerId: string): Promise<void> {
    const held = await this.#deps.records.read(ownerId);
    if (!held) return;
    if (held.state === "closed") throw new LeaseEndedError(held.sourceId, held.term);
    // Under a permanent lease, too: while this host was away, someone may have taken it back.
    await this.#renewAndContinue(held);
  }

  async isPaused(ownerId: string): Promise<boolean> {
    const held = await this.#deps.records.read(ownerId);
    if (!held) return false;
    if (held.state === "permanent") return this.#deps.isStopped(held.uuid);
    const holding = this.#holdings.get(ownerId);
    return !holding || !mayRun(holding, this.#deps.now());
  }

  async kill(ownerId: string): Promise<void> {
    const held = await this.#deps.records.read(ownerId);
    if (held) await this.#deps.signal(held.uuid, "SIGKILL");
  }

  async close(ownerId: string): Promise<void> {
    const held = await this.#deps.records.read(ownerId);
    if (!held) return;
    await this.#deps.records.write(ownerId, { ...held, state: "closed" });
    this.#holdings.delete(ownerId);
    clearTimeout(this.#timers.get(ownerId));
    await this.#deps.guard.remove(held);
  }

  /**
   * Renews it now, and again and again; a permanent one until it is answered. Rejects if it could not be
   * renewed now. While an answer is awaited, a further call waits for that one: two at once would write the
   * same files.
   */
  #renewAndContinue(held: LeaseHeld): Promise<void> {
    const key = renewalKey(held);
    const before = this.#running.get(key);
    if (before) return before;
    const running = this.#askAndContinue(held).finally(() => this.#running.delete(key));
    this.#running.set(key, running);
    return running;
  }

  async #askAndContinue(held: LeaseHeld): Promise<void> {
    const { log } = this.#deps;
    clearTimeout(this.#timers.get(held.ownerId));
    let delayMs: number | undefined = TRY_AGAIN_MS;
    try {
      held = await this.#renew(held);
      delayMs = held.state === "permanent" ? undefined : RENEW_AGAIN_MS;
    } catch (error) {
      const { ownerId, term } = held;
      log.warn("a lease was not renewed", { ownerId, term, failure: failureOf(error).message });
      if (error instanceof LeaseEndedError) {
        await this.#end(held);
        delayMs = undefined;
      }
      throw error;
    } finally {
      if (delayMs !== undefined) this.#continueLater(held, delayMs);
    }
  }

  #continueLater(held: LeaseHeld, delayMs: number): void {
    clearTimeout(this.#timers.get(held.ownerId));
    const timer = setTimeout(() => void this.#renewAndContinue(held).catch(() => {}), delayMs);
    this.#timers.set(held.ownerId, timer.unref());
  }

  async #renew(held: LeaseHeld): Promise<LeaseHeld> {
    const { records, guard, renew, signal, now } = this.#deps;
    const { ownerId, term, uuid } = held;
    const sentAtMs = now();
    const { isPermanent } = await renew(ownerId, term);
    // It may have been closed while the answer was on its way.
    const current = await records.read(ownerId);
    if (current?.term !== term || current.state === "closed") throw new LeaseEndedError(held.sourceId, term);
    if (isPermanent) {
      const permanent: LeaseHeld = { ...held, state: "permanent" };
      if (held.state !== "permanent") await records.write(ownerId, permanent);
      // Also if it was permanent already: the agent may have been killed in between.
      await guard.remove(held);
      await signal(uuid, "SIGCONT");
      return permanent;
    }
    const holding = extendedHolding(heldTerm(this.#holdings.get(ownerId), term), {
      ...{ term, sentAtMs, isPermanent },
    });
    this.#holdings.set(ownerId, holding);
    await guard.extend(held, holding.untilMs);
    // The answer may have taken as long as the lease itself.
    if (mayRun(holding, now())) await signal(uuid, "SIGCONT");
    return held;
  }

  /**
   * Nothing that arrives later lets the machine run. A permanent lease has no guard, so it gets one: the
   * machine can be off now, and be started by others, such as libvirt's service that restores its guests
   * after a restart of the host.
   */
  async #end(held: LeaseHeld): Promise<void> {
    const { records, guard, signal } = this.#deps;
    const { ownerId, term, uuid, state } = held;
    this.#holdings.set(ownerId, closedHolding(this.#holdings.get(ownerId), term));
    await signal(uuid, "SIGSTOP");
    // One that was removed while the answer was on its way needs none.
    const isClosed = (await records.read(ownerId))?.state === "closed";
    if (state === "permanent" && !isClosed) await guard.install(held);
    await records.write(ownerId, { ...held, state: "closed" });
    await guard.extend(held, 0);
  }
}

function renewalKey({ ownerId, term }: LeaseHeld): string {
  return `${ownerId} ${term}`;
}
