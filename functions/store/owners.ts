import type { CommandRecord } from "#shared/domain/command.ts";
import { type CommandOwner, conversionAsOwner } from "#shared/domain/command-owner.ts";
import { pointRecorded, withWhereabouts } from "#shared/domain/conversion.ts";
import { drillAsOwner } from "#shared/domain/drill.ts";
import { runAsOwner, runPointRecorded } from "#shared/domain/protection/run.ts";
import { recoveryAsOwner } from "#shared/domain/recovery.ts";
import { checkAsOwner } from "#shared/domain/repository-check.ts";
import type { WhereaboutsRecord } from "#shared/domain/whereabouts.ts";
import { CheckId, DrillId, RecoveryId, RunId } from "#shared/protocol/ids.ts";
import type { CheckStore } from "./checks.ts";
import type { ConversionStore } from "./conversions.ts";
import type { DrillStore } from "./drills.ts";
import type { RecoveryStore } from "./recoveries.ts";
import type { RunStore } from "./runs.ts";

interface Stores {
  conversions: ConversionStore;
  runs: RunStore;
  drills: DrillStore;
  checks: CheckStore;
  recoveries: RecoveryStore;
}

/** The owners of commands: the one place that knows which kinds of owners there are. */
export class OwnerStore {
  readonly #stores: Stores;

  constructor(stores: Stores) {
    this.#stores = stores;
  }

  async find(id: string): Promise<CommandOwner | undefined> {
    const { conversions, runs, drills, checks, recoveries } = this.#stores;
    switch (kindOf(id)) {
      case "run":
        return mapped(await runs.find(id), runAsOwner);
      case "drill":
        return mapped(await drills.find(id), drillAsOwner);
      case "check":
        return mapped(await checks.find(id), checkAsOwner);
      case "recovery":
        return mapped(await recoveries.find(id), recoveryAsOwner);
      case "conversion":
        return mapped(await conversions.find(id), conversionAsOwner);
    }
  }

  /** Throws `NotFoundError`. */
  async get(id: string): Promise<CommandOwner> {
    const { conversions, runs, drills, checks, recoveries } = this.#stores;
    switch (kindOf(id)) {
      case "run":
        return runAsOwner(await runs.get(id));
      case "drill":
        return drillAsOwner(await drills.get(id));
      case "check":
        return checkAsOwner(await checks.get(id));
      case "recovery":
        return recoveryAsOwner(await recoveries.get(id));
      case "conversion":
        return conversionAsOwner(await conversions.get(id));
    }
  }

  /** The owner and its commands, as of one moment. Throws `NotFoundError`. */
  async withCommands(id: string): Promise<{ owner: CommandOwner; commands: CommandRecord[] }> {
    const { conversions, runs, drills, checks, recoveries } = this.#stores;
    switch (kindOf(id)) {
      case "run": {
        const { run, commands } = await runs.withCommands(id);
        return { owner: runAsOwner(run), commands };
      }
      case "drill": {
        const { drill, commands } = await drills.withCommands(id);
        return { owner: drillAsOwner(drill), commands };
      }
      case "check": {
        const { check, commands } = await checks.withCommands(id);
        return { owner: checkAsOwner(check), commands };
      }
      case "recovery": {
        const { recovery, commands } = await recoveries.withCommands(id);
        return { owner: recoveryAsOwner(recovery), commands };
      }
      case "conversion": {
        const { conversion, commands } = await conversions.withCommands(id);
        return { owner: conversionAsOwner(conversion), commands };
      }
    }
  }

  /**
   * Notes what became known of the machine that the owner restarts. An owner that restarts none stays as it
   * is. Throws `NotFoundError`.
   */
  async learn(
    id: string,
    change: (whereabouts: WhereaboutsRecord, owner: CommandOwner) => WhereaboutsRecord,
  ): Promise<CommandOwner> {
    if (kindOf(id) !== "conversion") return this.get(id);
    const conversion = await this.#stores.conversions.modify(id, (current) =>
      withWhereabouts(current, (whereabouts) => change(whereabouts, conversionAsOwner(current))),
    );
    return conversionAsOwner(conversion);
  }

  /** Notes that the recovery point of a conversion or run is recorded. Throws `NotFoundError`. */
  async pointRecorded(id: string): Promise<void> {
    if (kindOf(id) === "run") await this.#stores.runs.modify(id, runPointRecorded);
    else await this.#stores.conversions.modify(id, pointRecorded);
  }
}

function kindOf(id: string): "conversion" | "run" | "drill" | "check" | "recovery" {
  if (RunId.safeParse(id).success) return "run";
  if (DrillId.safeParse(id).success) return "drill";
  if (RecoveryId.safeParse(id).success) return "recovery";
  return CheckId.safeParse(id).success ? "check" : "conversion";
}

function mapped<T>(record: T | undefined, asOwner: (record: T) => CommandOwner): CommandOwner | undefined {
  return record && asOwner(record);
}
