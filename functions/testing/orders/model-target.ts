import { closedHolding, extendedHolding, type Holding, heldTerm, mayRun } from "#shared/domain/holding.ts";
import {
  CausewayError,
  LeaseEndedError,
  MachineNotDefinedError,
  MachineSilentError,
  ServiceUnavailableError,
  StandbyNotAtPointError,
} from "#shared/errors.ts";
import type { Command, CommandInput } from "#shared/protocol/commands.ts";
import { agentAnswer } from "../../../statemachines/testing/agent-answers.ts";
import { ModelAgent, type Surroundings } from "./model-agent.ts";

/** As the agent renews a lease. */
const RENEW_AGAIN_MS = 15_000;
const TRY_AGAIN_MS = 3_000;
const BOOTED_AT = Date.UTC(2030, 0, 1);
/** The guard may need this time to pause a machine. */
const PAUSING_MS = 5_000;

interface Machine {
  isOn: boolean;
  isConnected: boolean;
  /** Of its disks. */
  pointId: string;
  /** Absent until it was to run in the source's place. */
  lease?: { holding: Holding; isPermanent: boolean } | undefined;
  /** Of its renewals: a later one replaces an earlier one. */
  turn: number;
}

interface TargetSurroundings extends Surroundings {
  /** How much faster its clock is. */
  readonly drift: number;
  /** What it finds when it compares files, besides the ordinary. */
  readonly compared: object;
  /**
   * Asks the control plane for time. Rejects with `LeaseEndedError`, and with another error if the network or
   * the control plane does not answer.
   */
  renew(ownerId: string, term: number): Promise<{ isPermanent: boolean }>;
}

/** The target host: it keeps a standby, and runs machines of clones of it under leases that it renews. */
export class ModelTarget extends ModelAgent {
  /** The point of its standby. */
  standby: string | undefined;
  /** How often the host has restarted, and how often when the control plane last asked for a machine. */
  restarts = 0;
  restartsSeen = 0;
  /** By the cutovers that they are for. */
  readonly machines = new Map<string, Machine>();
  readonly #clones = new Map<string, string>();
  readonly #around: TargetSurroundings;
  readonly #look: () => void;

  /** `look`: what to do after each change of whether a machine runs. */
  constructor(around: TargetSurroundings, look: () => void) {
    super("agt_target", around);
    this.#around = around;
    this.#look = look;
  }

  /** Those that run, connected or not. One whose time is over still does until its guard has paused it. */
  get running(): Machine[] {
    const now = this.#uptime - PAUSING_MS;
    return [...this.machines.values()].filter(
      ({ isOn, lease }) => isOn && lease && mayRun(lease.holding, now),
    );
  }

  protected async carryOut({ kind, input }: Command, isGone: () => boolean): Promise<object> {
    const answer = agentAnswer({ kind, input: input as Record<string, unknown> });
    const { ownerId, pointId } = input as { ownerId: string; pointId: string };
    switch (kind) {
      case "apply-to-standby":
        this.standby = pointId;
        return answer;
      case "clone-standby":
        if (this.standby !== pointId)
          throw new StandbyNotAtPointError(String(this.standby), `it is not at ${pointId}`);
        this.#clones.set(ownerId, pointId);
        return answer;
      case "release":
        this.#clones.delete(ownerId);
        return answer;
      case "adapt-machine":
        if (!this.#clones.has(ownerId)) throw new MachineNotDefinedError(ownerId);
        return answer;
      case "compare-files":
        if (this.#clones.get(ownerId) !== pointId) throw new MachineNotDefinedError(ownerId);
        return { ...answer, ...this.#around.compared };
      case "define-machine":
        this.#define(input as CommandInput<"define-machine">);
        return answer;
      case "bring-up-machine":
        await this.#bringUp(input as CommandInput<"bring-up-machine">, isGone);
        return answer;
      case "connect-machine": {
        const machine = this.#machine(ownerId);
        await this.#renew(ownerId, machine);
        machine.isConnected = true;
        this.restartsSeen = this.restarts;
        return { ...answer, power: machine.isOn ? "on" : "off" };
      }
      case "power-machine":
        this.#machine(ownerId).isOn = false;
        return answer;
      case "remove-machine":
        this.machines.delete(ownerId);
        this.#clones.delete(ownerId);
        return answer;
      default:
        throw new Error(`no target host does ${kind}`);
    }
  }

  /** The host goes down. It keeps whether a lease is permanent or has ended, but not how long one lasts. */
  restart(): void {
    this.kill();
    this.restarts++;
    for (const machine of this.machines.values()) {
      machine.isOn = false;
      const { lease } = machine;
      if (lease && !lease.isPermanent && !lease.holding.isClosed)
        lease.holding = heldTerm(undefined, lease.holding.term);
    }
  }

  /** A person starts a machine that keeps the right to run. */
  async startByHand(ownerId: string): Promise<void> {
    const machine = this.#machine(ownerId);
    await this.#renew(ownerId, machine);
    machine.isOn = true;
    this.#look();
  }

  /** The guards and the leases' records are in files. */
  protected resume(): void {
    for (const ownerId of this.machines.keys()) this.#renewOn(ownerId, 0);
  }

  /** By a clock that no one sets. */
  get #uptime(): number {
    return (this.around.now() - BOOTED_AT) * (1 + this.#around.drift);
  }

  #define({ ownerId, isolated, dryRun }: CommandInput<"define-machine">): void {
    const pointId = this.#clones.get(ownerId);
    if (pointId === undefined) throw new MachineNotDefinedError(ownerId);
    if (!isolated) throw new Error("a client would reach a machine that is not checked");
    if (!dryRun && !this.machines.has(ownerId))
      this.machines.set(ownerId, { isOn: false, isConnected: false, pointId, turn: 0 });
  }

  #machine(ownerId: string): Machine {
    const machine = this.machines.get(ownerId);
    if (!machine) throw new MachineNotDefinedError(ownerId);
    return machine;
  }

  async #bringUp(
    { ownerId, lease, timeoutSeconds, leavesOut }: CommandInput<"bring-up-machine">,
    isGone: () => boolean,
  ): Promise<void> {
    const machine = this.#machine(ownerId);
    if (!lease) throw new Error("it would run without a lease");
    if (leavesOut && machine.isConnected) throw new Error("it is asked before the commit, and connected");
    const { term } = lease;
    const before = machine.lease?.holding;
    if (before && (before.term > term || (before.term === term && before.isClosed)))
      throw new LeaseEndedError("agt_source", term);
    const isPermanent = before?.term === term && machine.lease?.isPermanent === true;
    machine.lease = { holding: heldTerm(before, term), isPermanent };
    const limit = this.around.now() + timeoutSeconds * 1000;
    while (!(await this.#isRenewed(ownerId, machine))) {
      if (this.around.now() >= limit) throw new MachineSilentError("pine-1", "no lease");
      await this.sleep(TRY_AGAIN_MS);
      if (isGone()) return;
    }
    if (isGone()) return;
    machine.isOn = true;
    this.restartsSeen = this.restarts;
    this.#look();
    this.#renewOn(ownerId, RENEW_AGAIN_MS);
  }

  async #isRenewed(ownerId: string, machine: Machine): Promise<boolean> {
    try {
      await this.#renew(ownerId, machine);
      return true;
    } catch (error) {
      if (error instanceof ServiceUnavailableError) return false;
      throw error;
    }
  }

  async #renew(ownerId: string, machine: Machine): Promise<void> {
    const { lease } = machine;
    if (!lease) return;
    const { term, isClosed } = lease.holding;
    if (isClosed) throw new LeaseEndedError("agt_source", term);
    const sentAtMs = this.#uptime;
    try {
      const { isPermanent } = await this.#around.renew(ownerId, term);
      if (machine.lease?.holding.term !== term || machine.lease.holding.isClosed)
        throw new LeaseEndedError("agt_source", term);
      lease.isPermanent ||= isPermanent;
      lease.holding = extendedHolding(lease.holding, { term, sentAtMs, isPermanent });
      this.#look();
    } catch (error) {
      if (error instanceof LeaseEndedError) lease.holding = closedHolding(lease.holding, term);
      throw error;
    }
  }

  /** Until the lease is permanent or has ended. */
  #renewOn(ownerId: string, ms: number): void {
    const machine = this.machines.get(ownerId);
    if (!machine) return;
    const turn = ++machine.turn;
    this.after(ms, async () => {
      const { lease } = machine;
      if (turn !== machine.turn || !lease || lease.isPermanent || lease.holding.isClosed) return;
      const again = await this.#renew(ownerId, machine).then(
        () => RENEW_AGAIN_MS,
        (error: unknown) => {
          if (!(error instanceof CausewayError)) throw error;
          return TRY_AGAIN_MS;
        },
      );
      this.#renewOn(ownerId, again);
    });
  }
}
