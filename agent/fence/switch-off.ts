import * as z from "zod";
import { WrongStateError } from "#shared/errors.ts";
import { CommandId } from "#shared/protocol/ids.ts";
import type { AfterAnswer } from "../commands/after-answer.ts";
import type { Executor } from "../commands/executor.ts";
import { DataFile } from "../identity/identity.ts";
import type { FenceKeeper } from "./fence-keeper.ts";

/** What is announced, and has not been tried yet. */
const Planned = z.object({ commandId: CommandId, term: z.int().positive() });
type Planned = z.infer<typeof Planned>;

export interface SwitchOffDeps {
  dataDir: string;
  fence: Pick<FenceKeeper, "read">;
  afterAnswer: Pick<AfterAnswer, "plan">;
  /** Shuts the machine down; the process is killed before this resolves. */
  switchOff: () => Promise<void>;
}

/**
 * Shuts the source down after it has answered a command, if it is fenced for that term then, too; also if the
 * agent was restarted in between.
 */
export class SwitchOff {
  readonly #deps: SwitchOffDeps;
  readonly #note: DataFile<Planned | null>;

  constructor(deps: SwitchOffDeps) {
    this.#deps = deps;
    this.#note = new DataFile(deps.dataDir, "switch-off.json", Planned.nullable());
  }

  readonly executor: Executor<"switch-off"> = async ({ term }, { commandId, signal, retract }) => {
    await this.#requireFence(term);
    await this.#note.write({ commandId, term });
    if (signal.aborted) await this.#note.write(null);
    signal.throwIfAborted();
    this.#plan({ commandId, term }, retract);
    return {};
  };

  /** When the agent starts. `retract`: that of the command, as `ExecutionContext` has it. */
  async resume(retract: (commandId: string, error: unknown) => Promise<void>): Promise<void> {
    const planned = await this.#note.read();
    if (planned) this.#plan(planned, (error) => retract(planned.commandId, error));
  }

  /** The control plane has cancelled this command, and `afterAnswer` knows. */
  async cancelled(commandId: string): Promise<void> {
    const planned = await this.#note.read();
    if (planned?.commandId === commandId) await this.#note.write(null);
  }

  #plan({ commandId, term }: Planned, retract: (error: unknown) => Promise<void>): void {
    this.#deps.afterAnswer.plan(commandId, async () => {
      try {
        // Before it is tried: a source that a person starts again afterwards stays on.
        await this.#note.write(null);
        // A person at the console can have broken the fence since the answer.
        await this.#requireFence(term);
        await this.#deps.switchOff();
      } catch (error) {
        await retract(error);
      }
    });
  }

  async #requireFence(term: number): Promise<void> {
    const { isUp, term: known } = await this.#deps.fence.read();
    if (!isUp || known !== term)
      throw new WrongStateError(
        `the source is not fenced for term ${term}, so it may serve its clients`,
        "`causeway fence` at its console shows its fence.",
      );
  }
}
