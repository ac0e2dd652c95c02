import { CommandRecord, isOpen, ownerIdOf } from "#shared/domain/command.ts";
import { NotFoundError } from "#shared/errors.ts";
import { Aggregates } from "./aggregates.ts";
import { ownerPartition } from "./owner-partition.ts";
import type { Item, Table } from "./table.ts";

const COMMAND = "COMMAND#";
const keyOf = (id: string) => ({ pk: ownerPartition(ownerIdOf(id) ?? id), sk: `${COMMAND}${id}` });
const pendingOf = (agentId: string) => `PENDING#${agentId}`;

/** Agents' commands, each in the partition of its owner. */
export class CommandStore {
  readonly #table: Table;
  readonly #commands: Aggregates<CommandRecord>;

  constructor(table: Table) {
    this.#table = table;
    this.#commands = new Aggregates(table, {
      what: "command",
      schema: CommandRecord,
      // The index has only open commands, which an agent asks for when it connects.
      keys: (command) => ({
        ...keyOf(command.id),
        ...(isOpen(command)
          ? { gsi1pk: pendingOf(command.agentId), gsi1sk: `${command.issuedAt}#${command.id}` }
          : {}),
      }),
    });
  }

  find(id: string): Promise<CommandRecord | undefined> {
    return this.#commands.find(keyOf(id));
  }

  /** Throws `ConcurrentChangeError` if it was written since it was read, or if a new one already exists. */
  save(command: CommandRecord): Promise<CommandRecord> {
    return this.#commands.save(command);
  }

  /** Throws `NotFoundError`, and what `change` throws. */
  modify(id: string, change: (command: CommandRecord) => CommandRecord): Promise<CommandRecord> {
    return this.#commands.modify(keyOf(id), (command) => {
      if (!command) throw new NotFoundError("command", id);
      return change(command);
    });
  }

  /**
   * The agent's unfinished commands, oldest first. They come from the index, so the newest command can be
   * missing.
   */
  async pending(agentId: string): Promise<CommandRecord[]> {
    const items = await this.#table.allInIndex(pendingOf(agentId));
    return items.map((item) => this.#commands.parse(item));
  }

  /** The commands among the items of an owner's partition. */
  among(items: readonly Item[]): CommandRecord[] {
    return items.filter(({ sk }) => String(sk).startsWith(COMMAND)).map((item) => this.#commands.parse(item));
  }
}
