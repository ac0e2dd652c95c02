import type { CommandRecord } from "#shared/domain/command.ts";
import { type CommandOwner, conversionAsOwner } from "#shared/domain/command-owner.ts";
import { withWhereabouts } from "#shared/domain/conversion.ts";
import type { WhereaboutsRecord } from "#shared/domain/whereabouts.ts";
import type { ConversionStore } from "./conversions.ts";

/** The owners of commands: the one place that knows which kinds of owners there are. */
export class OwnerStore {
  readonly #conversions: ConversionStore;

  constructor(conversions: ConversionStore) {
    this.#conversions = conversions;
  }

  async find(id: string): Promise<CommandOwner | undefined> {
    const conversion = await this.#conversions.find(id);
    return conversion && conversionAsOwner(conversion);
  }

  /** Throws `NotFoundError`. */
  async get(id: string): Promise<CommandOwner> {
    return conversionAsOwner(await this.#conversions.get(id));
  }

  /** The owner and its commands, as of one moment. Throws `NotFoundError`. */
  async withCommands(id: string): Promise<{ owner: CommandOwner; commands: CommandRecord[] }> {
    const { conversion, commands } = await this.#conversions.withCommands(id);
    return { owner: conversionAsOwner(conversion), commands };
  }

  /**
   * Notes what became known of the machine that the owner restarts. An owner that restarts none stays as it
   * is. Throws `NotFoundError`.
   */
  async learn(
    id: string,
    change: (whereabouts: WhereaboutsRecord, owner: CommandOwner) => WhereaboutsRecord,
  ): Promise<CommandOwner> {
    const conversion = await this.#conversions.modify(id, (current) =>
      withWhereabouts(current, (whereabouts) => change(whereabouts, conversionAsOwner(current))),
    );
    return conversionAsOwner(conversion);
  }
}
