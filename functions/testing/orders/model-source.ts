import { type Fence, fencedFor, unfencedAfter } from "#shared/domain/fence.ts";
import type { Command, CommandInput } from "#shared/protocol/commands.ts";
import { agentAnswer } from "../../../statemachines/testing/agent-answers.ts";
import { diskOfPoint } from "../cutover-site.ts";
import { ModelAgent, type Surroundings } from "./model-agent.ts";

/** The source: it serves unless its fence is up, and its agent takes recovery points. */
export class ModelSource extends ModelAgent {
  fence: Fence = { term: 0, isUp: false };
  /** Of each recovery point, the term of the fence that was up when it was taken; 0 if none was. */
  readonly points = new Map<string, number>();
  readonly #look: () => void;

  /** `look`: what to do after each change of whether it serves. */
  constructor(around: Surroundings, look: () => void) {
    super("agt_source", around);
    this.#look = look;
  }

  get serves(): boolean {
    return !this.fence.isUp;
  }

  protected async carryOut({ kind, input }: Command): Promise<object> {
    if (kind === "set-fence") {
      const { isUp, term, lasting } = input as CommandInput<"set-fence">;
      this.fence = (isUp ? fencedFor : unfencedAfter)(this.fence, term);
      this.#look();
      return { ...this.fence, lasting, services: this.fence.isUp ? ["db.service"] : [] };
    }
    if (kind !== "take-recovery-point") throw new Error(`no source does ${kind}`);
    const { pointId } = input as CommandInput<"take-recovery-point">;
    this.points.set(pointId, this.fence.isUp ? this.fence.term : 0);
    return { ...agentAnswer({ kind, input: input as Record<string, unknown> }), disks: [diskOfPoint(1024)] };
  }

  /** The fence is in files. */
  protected resume(): void {}
}
