import type { CommandRecord } from "#shared/domain/command.ts";
import { type CommandOwner, conversionAsOwner } from "#shared/domain/command-owner.ts";
import { pointRecorded } from "#shared/domain/conversion.ts";
import { cutoverAsOwner } from "#shared/domain/cutover/cutover.ts";
import { drillAsOwner } from "#shared/domain/drill.ts";
import { runAsOwner, runPointRecorded } from "#shared/domain/protection/run.ts";
import { recoveryAsOwner } from "#shared/domain/recovery.ts";
import { checkAsOwner } from "#shared/domain/repository-check.ts";
import {
  type Attested,
  mayHaveLeft,
  type WhereaboutsRecord,
  withAttested,
  withWhereabouts,
} from "#shared/domain/whereabouts.ts";
import { type OwnerKind, ownerKind } from "#shared/protocol/ids.ts";
import type { Aggregate } from "./aggregates.ts";
import type { CheckStore } from "./checks.ts";
import type { ConversionStore } from "./conversions.ts";
import type { CutoverStore } from "./cutovers.ts";
import type { DrillStore } from "./drills.ts";
import type { OwnerAggregates } from "./owner-aggregates.ts";
import type { RecoveryStore } from "./recoveries.ts";
import type { RunStore } from "./runs.ts";

interface Stores {
  conversions: ConversionStore;
  runs: RunStore;
  drills: DrillStore;
  checks: CheckStore;
  recoveries: RecoveryStore;
  cutovers: CutoverStore;
}

/** The owners of one kind. */
interface Owners {
  find(id: string): Promise<CommandOwner | undefined>;
  get(id: string): Promise<CommandOwner>;
  withCommands(id: string): Promise<{ owner: CommandOwner; commands: CommandRecord[] }>;
}

/** The owners of one kind, each of which may restart a machine. */
interface Restarters {
  learn(
    id: string,
    change: (whereabouts: WhereaboutsRecord, owner: CommandOwner) => WhereaboutsRecord,
  ): Promise<CommandOwner>;
  /** Returns the receipt that is kept. */
  attested(
    id: string,
    attested: Attested,
    learn: (whereabouts: WhereaboutsRecord) => WhereaboutsRecord,
  ): Promise<Attested | undefined>;
  latestRestarting(sourceId: string): Promise<CommandOwner | undefined>;
}

/** The owners of commands: the one place that knows which kinds of owners there are. */
export class OwnerStore implements Owners {
  readonly #stores: Stores;
  readonly #owners: Readonly<Record<OwnerKind, Owners>>;
  readonly #restarters: Readonly<Partial<Record<OwnerKind, Restarters>>>;

  constructor(stores: Stores) {
    this.#stores = stores;
    this.#owners = {
      conversion: asOwners(stores.conversions, conversionAsOwner),
      run: asOwners(stores.runs, runAsOwner),
      drill: asOwners(stores.drills, drillAsOwner),
      check: asOwners(stores.checks, checkAsOwner),
      recovery: asOwners(stores.recoveries, recoveryAsOwner),
      cutover: asOwners(stores.cutovers, cutoverAsOwner),
    };
    this.#restarters = {
      conversion: asRestarters(stores.conversions, conversionAsOwner),
      cutover: asRestarters(stores.cutovers, cutoverAsOwner),
    };
  }

  find(id: string): Promise<CommandOwner | undefined> {
    return this.#owners[ownerKind(id)].find(id);
  }

  /** Throws `NotFoundError`. */
  get(id: string): Promise<CommandOwner> {
    return this.#owners[ownerKind(id)].get(id);
  }

  /** The owner and its commands, as of one moment. Throws `NotFoundError`. */
  withCommands(id: string): Promise<{ owner: CommandOwner; commands: CommandRecord[] }> {
    return this.#owners[ownerKind(id)].withCommands(id);
  }

  /**
   * Notes what became known of the machine that the owner restarts. An owner that restarts none stays as it
   * is. Throws `NotFoundError`.
   */
  async learn(
    id: string,
    change: (whereabouts: WhereaboutsRecord, owner: CommandOwner) => WhereaboutsRecord,
  ): Promise<CommandOwner> {
    const restarters = this.#restarters[ownerKind(id)];
    return restarters ? restarters.learn(id, change) : this.get(id);
  }

  /**
   * Keeps the boot receipt of a conversion or cutover, and notes what it says of the machine. Returns when
   * this receipt came for the first time. Throws `NotFoundError`.
   */
  async attested(
    id: string,
    attested: Attested,
    learn: (whereabouts: WhereaboutsRecord) => WhereaboutsRecord,
  ): Promise<string> {
    const restarters = this.#restarters[ownerKind(id)];
    if (!restarters) throw new RangeError(`${id} restarts no machine`);
    const kept = await restarters.attested(id, attested, learn);
    return (kept ?? attested).receivedAt;
  }

  /**
   * The conversion or cutover that restarted this source last, or is about to; eventually consistent.
   * `undefined` if none did.
   */
  async latestRestarting(sourceId: string): Promise<CommandOwner | undefined> {
    const latest = await Promise.all(
      Object.values(this.#restarters).map((restarters) => restarters.latestRestarting(sourceId)),
    );
    const both = latest.filter((owner) => owner !== undefined);
    return both.toSorted((a, b) => (isLater(a, b) ? -1 : 1))[0];
  }

  /** Notes that the recovery point of a conversion or run is recorded. Throws `NotFoundError`. */
  async pointRecorded(id: string): Promise<void> {
    if (ownerKind(id) === "run") await this.#stores.runs.modify(id, runPointRecorded);
    else await this.#stores.conversions.modify(id, pointRecorded);
  }
}

/** A cutover can wait for days before it restarts the machine: what may have led it away comes first. */
function isLater(one: CommandOwner, other: CommandOwner): boolean {
  const isAtIt = ({ state, whereabouts }: CommandOwner) =>
    (state === "running" || state === "cancelling") && whereabouts !== undefined && mayHaveLeft(whereabouts);
  if (isAtIt(one) !== isAtIt(other)) return isAtIt(one);
  return (one.whereabouts?.since ?? "") > (other.whereabouts?.since ?? "");
}

function asOwners<T extends Aggregate>(
  store: OwnerAggregates<T>,
  asOwner: (record: T) => CommandOwner,
): Owners {
  return {
    find: async (id) => {
      const record = await store.find(id);
      return record && asOwner(record);
    },
    get: async (id) => asOwner(await store.get(id)),
    withCommands: async (id) => {
      const { record, commands } = await store.withCommands(id);
      return { owner: asOwner(record), commands };
    },
  };
}

function asRestarters<
  T extends Aggregate & { whereabouts?: WhereaboutsRecord | undefined; attested?: Attested | undefined },
>(
  store: OwnerAggregates<T> & { latestRestarting(sourceId: string): Promise<T | undefined> },
  asOwner: (record: T) => CommandOwner,
): Restarters {
  return {
    learn: async (id, change) =>
      asOwner(
        await store.modify(id, (one) =>
          withWhereabouts(one, (whereabouts) => change(whereabouts, asOwner(one))),
        ),
      ),
    attested: async (id, attested, learn) =>
      (await store.modify(id, (one) => withWhereabouts(withAttested(one, attested), learn))).attested,
    latestRestarting: async (sourceId) => {
      const record = await store.latestRestarting(sourceId);
      return record && asOwner(record);
    },
  };
}
