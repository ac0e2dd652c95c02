/** What a system is adapted to: the machine that is defined for it. */
import { InvalidInputError, WrongStateError } from "../errors.ts";
import { type CommandInput, commandKinds } from "../protocol/commands.ts";
import type { MachineShape } from "../protocol/defined-machine.ts";
import type { Inventory, NetworkInterface } from "../protocol/inventory.ts";
import type { AdaptMachine } from "../protocol/machine-routes.ts";
import type { NewAddress, SystemAddress } from "../protocol/new-address.ts";
import type { SystemIdentity, WantedMachine } from "../protocol/wanted-machine.ts";
import type { WrittenDisk } from "../protocol/written-disk.ts";
import type { CommandRecord } from "./command.ts";
import { hardwareAddressOf } from "./hardware-address.ts";
import { systemAddresses } from "./new-addresses.ts";

/**
 * Throws `WrongStateError` if no machine is defined, `InvalidInputError` for a port that the source does not
 * have.
 */
export function adaptInput(
  { ports, machineId, hostKeys, addresses, purpose, dryRun }: AdaptMachine,
  given: {
    owner: { id: string; sourceId: string; pointId: string };
    images: readonly WrittenDisk[];
    inventory: Inventory | undefined;
    commands: readonly CommandRecord[];
  },
): CommandInput<"adapt-machine"> {
  const { owner, images, inventory, commands } = given;
  const { id, sourceId, pointId } = owner;
  const shape = definedShape(commands);
  if (!shape)
    throw new WrongStateError(
      `${id} has no machine that its system could be adapted to`,
      "Define the machine first: `causeway machine define`.",
    );
  return {
    ...{ ownerId: id, sourceId, pointId, disks: [...images], dryRun },
    ...plannedAdaptation(
      { ports, machineId, hostKeys, addresses, purpose },
      { shape, disks: images, inventory },
    ),
  };
}

/** What the command that adapts a system needs of its source and its machine. */
export type PlannedAdaptation = Pick<CommandInput<"adapt-machine">, "sourceDisks" | "wanted">;

/** As much of a machine as a system has to fit. */
type AdaptedShape = Pick<MachineShape, "diskBus" | "firmware" | "cardModel" | "cards">;

interface Adapted {
  shape: AdaptedShape;
  disks: readonly { name: string }[];
  inventory: Inventory | undefined;
}

/**
 * What a source's system has to fit if it is to be adapted. Throws `InvalidInputError` if it is to stay as it
 * is and yet get a new identity or new addresses, and what `systemAddresses` throws.
 */
export function askedAdaptation(
  { adapt, machineId, hostKeys, addresses }: SystemIdentity & { adapt: boolean; addresses: NewAddress[] },
  purpose: WantedMachine["purpose"],
  given: Adapted,
): PlannedAdaptation | undefined {
  if (adapt) return plannedAdaptation({ machineId, hostKeys, addresses, purpose }, given);
  const asked = Object.entries({ machineId, hostKeys }).flatMap(([path, choice]) =>
    choice === "new" ? [path] : [],
  );
  if (addresses.length > 0) asked.push("addresses");
  if (asked.length === 0) return undefined;
  const message = "a system gets a new one only when it is adapted: ask for that, too (--adapt)";
  throw new InvalidInputError(asked.map((path) => ({ path, message })));
}

/** That the adapted system gets in place of its source's; `undefined` if it keeps them. */
export function newAddressesIn(adaptation: PlannedAdaptation | undefined): SystemAddress[] | undefined {
  return adaptation?.wanted.addresses;
}

/**
 * What an operator has to look after in the system, as its target host said when it last adapted it, or last
 * tried to as long as it has not; `undefined` if none.
 */
export function adaptationNotes(commands: readonly CommandRecord[]): string[] | undefined {
  const said = commands
    .filter(({ kind }) => kind === "adapt-machine")
    .sort((a, b) => (a.issuedAt < b.issuedAt ? -1 : 1))
    .flatMap(({ output }) => commandKinds["adapt-machine"].output.safeParse(output).data ?? []);
  const { notes = [] } = said.findLast(({ isApplied }) => isApplied) ?? said.at(-1) ?? {};
  return notes.length === 0 ? undefined : notes;
}

/** Of the system that is adapted; `undefined` if it stays as it is. */
export function identityIn(adaptation: PlannedAdaptation | undefined): SystemIdentity | undefined {
  if (!adaptation) return undefined;
  const { machineId, hostKeys } = adaptation.wanted;
  return { machineId, hostKeys };
}

/**
 * What a source's system has to fit. Throws `InvalidInputError` for a port that the source does not have, and
 * what `systemAddresses` throws.
 */
export function plannedAdaptation(
  { ports, machineId, hostKeys, addresses: asked, purpose }: Omit<AdaptMachine, "action" | "dryRun">,
  given: Adapted,
): PlannedAdaptation {
  const { shape, disks, inventory } = given;
  const { diskBus, firmware, cardModel } = shape;
  const cards = wantedCards(shape, ports, inventory);
  const addresses = systemAddresses(asked, { cards, network: inventory?.network });
  const known = new Map(inventory?.disks.map((disk) => [disk.name, disk]));
  return {
    sourceDisks: disks.map(({ name }) => {
      const { serial, wwid } = known.get(name) ?? {};
      const isOnly = known.has(name) && known.size === 1;
      return {
        ...{ name, ...(serial ? { serial } : {}), ...(wwid ? { wwid } : {}) },
        ...(isOnly ? { isOnly } : {}),
      };
    }),
    wanted: {
      ...{ diskBus, firmware, cardModel, machineId, hostKeys, purpose, cards },
      // An older agent knows no addresses, and needs none if all are kept.
      ...(addresses.length > 0 && { addresses }),
    },
  };
}

/** Of the machine as it is defined now. */
function definedShape(commands: readonly CommandRecord[]): MachineShape | undefined {
  const done = commands
    .filter(({ kind, state, input }) => {
      const isChange = kind === "remove-machine" || (kind === "define-machine" && input.dryRun !== true);
      return isChange && state === "succeeded";
    })
    .sort((a, b) => (a.issuedAt < b.issuedAt ? -1 : 1))
    .at(-1);
  if (done?.kind !== "define-machine") return undefined;
  return commandKinds["define-machine"].input.safeParse(done.input).data?.shape;
}

/**
 * The machine's cards, each with the source's port whose place it takes. `ports`: the names of the ports in
 * the cards' order; if absent, those whose addresses the cards have, and then those that are in use. Throws
 * `InvalidInputError` for a port that the source does not have.
 */
export function wantedCards(
  { cards }: Pick<MachineShape, "cards">,
  ports: readonly string[] | undefined,
  inventory: Pick<Inventory, "network"> | undefined,
): WantedMachine["cards"] {
  const all = (inventory?.network.interfaces ?? []).filter(
    (port) => port.kind === "ethernet" && hardwareAddressOf(port) !== undefined,
  );
  if (ports && ports.length > cards.length)
    throw new InvalidInputError([{ path: "ports", message: `the machine has ${cards.length} cards` }]);
  const kept = new Set(cards.map(({ address }) => address));
  const free = all.filter((port) => isInUse(port, inventory) && !kept.has(addressOf(port)));
  return cards.map(({ address }, index) => {
    const port = ports
      ? portNamed(ports[index], all, index)
      : (all.find((each) => addressOf(each) === address) ?? free.shift());
    return port ? { address, replaces: { name: port.name, address: addressOf(port) } } : { address };
  });
}

const addressOf = (port: NetworkInterface): string => (hardwareAddressOf(port) ?? "").toLowerCase();

/** It has addresses, or is a part of what has: a bond, a bridge, a VLAN. */
function isInUse(
  { name, addresses, master }: NetworkInterface,
  inventory: Pick<Inventory, "network"> | undefined,
): boolean {
  const isParent = inventory?.network.interfaces.some(({ vlan }) => vlan?.parent === name) === true;
  return addresses.length > 0 || master !== undefined || isParent;
}

function portNamed(
  name: string | undefined,
  all: readonly NetworkInterface[],
  index: number,
): NetworkInterface | undefined {
  const port = all.find((each) => each.name === name);
  if (name !== undefined && !port)
    throw new InvalidInputError([
      { path: `ports.${index}`, message: `the source has no Ethernet port ${name} with an address` },
    ]);
  return port;
}
