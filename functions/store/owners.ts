import type { CommandRecord } from "#shared/domain/command.ts";
import { type CommandOwner, conversionAsOwner } from "#shared/domain/command-owner.ts";
import { pointRecorded, withWhereabouts } from "#shared/domain/conversion.ts";
import { drillAsOwner } from "#shared/domain/drill.ts";
import { runAsOwner, runPointRecorded } from "#shared/domain/protection/run.ts";
import type { WhereaboutsRecord } from "#shared/domain/whereabouts.ts";
import { DrillId, RunId } from "#shared/protocol/ids.ts";
import type { ConversionStore } from "./conversions.ts";
import type { DrillStore } from "./drills.ts";
import type { RunStore } from "./runs.ts";

/** The owners of commands: the one place that knows which kinds of owners there are. */
export class OwnerStore {
  readonly #conversions: ConversionStore;
  readonly #runs: RunStore;
  readonly #drills: DrillStore;

  constructor(conversions: ConversionStore, runs: RunStore, drills: DrillStore) {
    this.#conversions = conversions;
    this.#runs = runs;
    this.#drills = drills;
  }

  async find(id: string): Promise<CommandOwner | undefined> {
    if (isRun(id)) {
      const run = await this.#runs.find(id);
      return run && runAsOwner(run);
    }
    if (isDrill(id)) {
      const drill = await this.#drills.find(id);
      return drill && drillAsOwner(drill);
    }
    const conversion = await this.#conversions.find(id);
    return conversion && conversionAsOwner(conversion);
  }

  /** Throws `NotFoundError`. */
  async get(id: string): Promise<CommandOwner> {
    if (isRun(id)) return runAsOwner(await this.#runs.get(id));
    if (isDrill(id)) return drillAsOwner(await this.#drills.get(id));
    return conversionAsOwner(await this.#conversions.get(id));
  }

  /** The owner and its commands, as of one moment. Throws `NotFoundError`. */
  async withCommands(id: string): Promise<{ owner: CommandOwner; commands: CommandRecord[] }> {
    if (isRun(id)) {
      const { run, commands } = await this.#runs.withCommands(id);
      return { owner: runAsOwner(run), commands };
    }
    if (isDrill(id)) {
      const { drill, commands } = await this.#drills.withCommands(id);
      return { owner: drillAsOwner(drill), commands };
    }
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
    if (isRun(id) || isDrill(id)) return this.get(id);
    const conversion = await this.#conversions.modify(id, (current) =>
      withWhereabouts(current, (whereabouts) => change(whereabouts, conversionAsOwner(current))),
    );
    return conversionAsOwner(conversion);
  }

  /** Notes that the recovery point of a conversion or run is recorded. Throws `NotFoundError`. */
  async pointRecorded(id: string): Promise<void> {
    if (isRun(id)) await this.#runs.modify(id, runPointRecorded);
    else await this.#conversions.modify(id, pointRecorded);
  }
}

function isRun(id: string): boolean {
  return RunId.safeParse(id).success;
}

function isDrill(id: string): boolean {
  return DrillId.safeParse(id).success;
}
