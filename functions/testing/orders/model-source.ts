import { type Fence, fencedFor, unfencedAfter } from "#shared/domain/fence.ts";
import { FenceInterruptedError, RestartRefusedError, WrongStateError } from "#shared/errors.ts";
import type { Command, CommandInput } from "#shared/protocol/commands.ts";
import type { AgentSystem } from "#shared/protocol/machine.ts";
import { agentAnswer } from "../../../statemachines/testing/agent-answers.ts";
import { diskOfPoint } from "../site-commands.ts";
import { attested } from "../site-source.ts";
import { ModelAgent, type Surroundings } from "./model-agent.ts";

/** When the file systems of each recovery point of the running source were frozen. */
export const FROZEN = { from: "2030-01-01T00:00:01.000Z", until: "2030-01-01T00:00:02.000Z" };
/** It acts this long after its answer, or the acknowledgement. */
const ACT_MS = 5_000;
/** One that hangs is a person's matter. */
const LONGEST_RESTART_SECONDS = 100;
/** How often the boot environment looks whether it is wanted. */
const LOOK_MS = 30_000;

/**
 * The source: its own system serves unless it is fenced, and its agent takes recovery points, in that system
 * or in its boot environment. Killed there, it restarts.
 */
export class ModelSource extends ModelAgent {
  /** By the agent's record. */
  fence: Fence = { term: 0, isUp: false };
  system: AgentSystem | "none" | "off" = "original";
  /** Of each recovery point, the term of the fence that was up when it was taken; 0 if none was. */
  readonly points = new Map<string, number>();
  readonly #look: () => void;
  /** What the files say: whether services are down until the next restart, and after it. */
  #isQuietNow = false;
  #isQuietFromNowOn = false;
  /** The lease for which its own system looks whether it is fenced at its return, and for which it is. */
  #prepared = 0;
  #marked = 0;
  #armed: { ownerId: string; deadlineMs: number } | undefined;
  #boots = 1;
  #restart: { commandId: string } | undefined;

  /** `look`: what to do after each change of whether it serves. */
  constructor(around: Surroundings, look: () => void) {
    super("agt_source", around);
    this.#look = look;
  }

  get serves(): boolean {
    const isMarked = this.#prepared > 0 && this.#prepared === this.#marked;
    return this.system === "original" && !this.#isQuietNow && !this.#isQuietFromNowOn && !isMarked;
  }

  override get bootId(): string {
    return `boot-${this.#boots}`;
  }

  override get environment(): AgentSystem {
    return this.system === "boot-environment" ? this.system : "original";
  }

  /** A boot environment whose agent ends restarts the machine. */
  override kill(): void {
    super.kill();
    this.#restart = undefined;
    if (this.system === "boot-environment") this.#leaveFor("original");
  }

  override start(): void {
    if (this.system === "none" || this.system === "off") return;
    super.start();
  }

  protected override cancelled(commandId: string): void {
    if (this.#restart?.commandId === commandId) this.#restart = undefined;
  }

  protected async carryOut({ kind, input, commandId }: Command): Promise<object> {
    const answer = agentAnswer({ kind, input: input as Record<string, unknown> });
    switch (kind) {
      case "set-fence":
        return this.#setFence(input as CommandInput<"set-fence">);
      case "take-recovery-point": {
        const { pointId } = input as CommandInput<"take-recovery-point">;
        this.points.set(pointId, this.fence.isUp ? this.fence.term : 0);
        // In the boot environment nothing is mounted.
        const frozen = this.system === "original" ? { frozen: FROZEN } : {};
        return { ...answer, disks: [diskOfPoint(1024)], ...frozen };
      }
      case "arm-boot":
        return { ...answer, ...this.#arm(input as CommandInput<"arm-boot">) };
      case "reboot":
        return this.#reboot(input as CommandInput<"reboot">, commandId);
      case "switch-off":
        if (!this.fence.isUp) throw new WrongStateError("the source serves");
        this.after(ACT_MS, async () => this.#leaveFor("off"));
        return answer;
      case "attest-boot-state":
        this.#armed = undefined;
        return attested(input as Record<string, unknown>);
      case "stage-boot-image":
      case "report-boot-state":
      case "release":
      case "hash-files":
        return answer;
      default:
        throw new Error(`no source does ${kind}`);
    }
  }

  /** The fence is in files. */
  protected resume(): void {
    if (this.system !== "original" || !this.fence.isUp) return;
    const { term } = this.fence;
    if (this.#isQuietNow || this.#isQuietFromNowOn || this.#prepared !== term) this.#isQuietNow = true;
    else if (this.#marked === term) this.#isQuietFromNowOn = true;
    else this.#lower({ term, isUp: false });
    this.#look();
  }

  #setFence({ isUp, term, lasting, mustBeUp }: CommandInput<"set-fence">): object {
    if (this.system === "boot-environment") {
      if (this.#prepared !== term || !isUp || !lasting) throw new FenceInterruptedError();
      this.#marked = term;
      return { term, isUp, lasting, services: ["db.service"] };
    }
    if (mustBeUp && !(this.fence.isUp && this.fence.term === term)) throw new FenceInterruptedError();
    const next = (isUp ? fencedFor : unfencedAfter)(this.fence, term);
    if (!next.isUp) this.#lower(next);
    else {
      this.fence = next;
      if (lasting) this.#isQuietFromNowOn = true;
      else this.#isQuietNow = true;
    }
    this.#look();
    return { ...this.fence, lasting, services: this.fence.isUp ? ["db.service"] : [] };
  }

  #lower(fence: Fence): void {
    this.fence = fence;
    this.#isQuietNow = false;
    this.#isQuietFromNowOn = false;
    this.#prepared = 0;
    this.#marked = 0;
  }

  #arm({ conversionId, fence, deadlineSeconds }: CommandInput<"arm-boot">): object {
    if (!fence || !this.fence.isUp || this.fence.term !== fence.term) throw new FenceInterruptedError();
    this.#prepared = fence.term;
    this.#marked = 0;
    this.#armed = { ownerId: conversionId, deadlineMs: deadlineSeconds * 1000 };
    return { bootId: this.bootId };
  }

  #reboot({ into, bootId, conversionId }: CommandInput<"reboot">, commandId: string): object {
    if (bootId !== undefined && bootId !== this.bootId) return {};
    const isThere = this.system === "boot-environment";
    const isArmed = this.#armed?.ownerId === conversionId && this.fence.isUp;
    if (into === "original" ? !isThere : isThere || !isArmed)
      throw new RestartRefusedError(conversionId, "not there");
    this.#restart = { commandId };
    this.after(ACT_MS, async () => {
      if (this.#restart?.commandId !== commandId) return;
      if (into === "boot-environment" && !this.fence.isUp) return;
      this.#leaveFor(into);
    });
    return {};
  }

  /** What the firmware and the boot loader do takes as long as the order says; it may lead elsewhere. */
  #leaveFor(wanted: AgentSystem | "off"): void {
    super.kill();
    this.#restart = undefined;
    this.system = wanted === "off" ? "off" : "none";
    this.#isQuietNow = false;
    if (wanted === "off") return;
    const { seconds, fails } = this.around.workOn(`restart ${wanted}`);
    const into = fails !== undefined ? "original" : wanted;
    this.around.later((10 + Math.min(seconds, LONGEST_RESTART_SECONDS)) * 1000, async () => {
      this.system = into;
      this.#boots++;
      this.#look();
      super.start();
      if (into === "boot-environment") this.#watch(this.#armed?.deadlineMs ?? 0, 0);
    });
  }

  /** It restarts by itself if nothing answers it. */
  #watch(deadlineMs: number, silentMs: number): void {
    this.after(LOOK_MS, async () => {
      const silent = this.isLinked ? 0 : silentMs + LOOK_MS;
      if (silent >= deadlineMs) this.#leaveFor("original");
      else this.#watch(deadlineMs, silent);
    });
  }
}
