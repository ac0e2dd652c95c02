/** The virtual machine of an owner's disks: what the target host is asked to do, and what it answered. */
import { createHash } from "node:crypto";
import { InvalidInputError, WrongStateError } from "../errors.ts";
import { canonicalJson } from "../protocol/canonical-json.ts";
import { type CommandInput, type CommandKind, commandKinds } from "../protocol/commands.ts";
import { CardAddress, type MachineShape } from "../protocol/defined-machine.ts";
import { type Inventory, UNKNOWN } from "../protocol/inventory.ts";
import type {
  MachineAction,
  MachineDesign,
  MachineOperation,
  WantedCard,
} from "../protocol/machine-routes.ts";
import type { WrittenDisk } from "../protocol/written-disk.ts";
import { adaptInput } from "./adapted-machine.ts";
import { type CommandRecord, isOpen, latest, type WantedCommand } from "./command.ts";
import { hardwareAddressOf } from "./hardware-address.ts";
import { systemDisks } from "./system-disks.ts";

const MIB = 2 ** 20;
const DEFAULT_MEMORY_MIB = 1024;
/** Of a name; the rest is for the owner. */
const NAME_CHARACTERS = 40;
const KINDS = [
  "define-machine",
  "adapt-machine",
  "power-machine",
  "remove-machine",
] as const satisfies CommandKind[];

function isAboutMachine({ kind }: CommandRecord): boolean {
  return KINDS.some((one) => one === kind);
}

/** What has disks on a target host that a machine can be made of: a conversion, a recovery or a cutover. */
export interface MachineOwner {
  id: string;
  sourceId: string;
  targetId: string;
  pointId: string;
  /** The source's disks, by name. */
  disks: readonly string[];
  firmware: MachineShape["firmware"];
  /** What the target host has written; `undefined` if there is nothing yet, or if it still works on it. */
  images: readonly WrittenDisk[] | undefined;
  /** Of a recovery. On the test network its cards reach only each other. */
  network?: "test" | "production";
  /** It has ended, and what is left of it is to be removed. */
  isUndone?: boolean;
}

/**
 * The command that carries out an action, or the open one that already does. Throws `WrongStateError` if the
 * owner has no disks yet or the target host is working on another action, and `InvalidInputError` for
 * what the source's inventory does not have.
 */
export function machineCommand(
  action: MachineAction,
  given: {
    owner: MachineOwner;
    inventory: Inventory | undefined;
    commands: readonly CommandRecord[];
    requestedBy: string;
  },
): WantedCommand | { open: CommandRecord } {
  const { owner, inventory, commands, requestedBy } = given;
  const { id, targetId, images, isUndone } = owner;
  if (!images && !(isUndone && action.action === "remove"))
    throw new WrongStateError(
      `${id} has no disks for a machine: it has not completed, or made none`,
      "`causeway conversions`, `causeway recoveries` and `causeway cutovers` show the state of each.",
    );
  const wanted = workOf(action, { owner, images: images ?? [], inventory, commands });
  const open = commands.find((command) => isAboutMachine(command) && isOpen(command));
  if (open) {
    if (open.kind === wanted.kind && canonicalJson(open.input) === canonicalJson(wanted.input))
      return { open };
    throw new WrongStateError(
      `the target host has not finished ${open.id} yet`,
      "Wait until it has, or until the target host is connected; then try again.",
    );
  }
  // Each request is work of its own, also if an earlier one did the same.
  const round = 1 + commands.filter(({ kind }) => kind === wanted.kind).length;
  return { ...wanted, ownerId: id, agentId: targetId, requestedBy, round };
}

function workOf(
  action: MachineAction,
  given: {
    owner: MachineOwner;
    images: readonly WrittenDisk[];
    inventory: Inventory | undefined;
    commands: readonly CommandRecord[];
  },
): Pick<WantedCommand, "kind" | "input"> {
  const ownerId = given.owner.id;
  switch (action.action) {
    case "define": {
      const { action: _, dryRun, ...design } = action;
      if (given.owner.network === "test") requireIsolated(ownerId, design);
      const disks = [...given.images];
      return { kind: "define-machine", input: { ...plannedMachine(design, given), disks, dryRun } };
    }
    case "adapt":
      return { kind: "adapt-machine", input: { ...adaptInput(action, given) } };
    case "start":
      return { kind: "power-machine", input: { ownerId, power: "on", atOnce: false } };
    case "stop":
      return { kind: "power-machine", input: { ownerId, power: "off", atOnce: action.atOnce } };
    case "remove":
      return { kind: "remove-machine", input: { ownerId, disks: action.disks } };
  }
}

/** It has no lease, so it must not reach what its source reaches. */
function requireIsolated(ownerId: string, { cards }: MachineDesign): void {
  if (cards.some(({ link }) => link.kind !== "isolated"))
    throw new WrongStateError(
      `the machine of ${ownerId} is for the test network, and a card would lead out of it`,
      "`causeway recover SOURCE --target TARGET --production` makes a machine that may run in place of its source.",
    );
}

/**
 * The command that defines the machine, except for the images that it gets. Throws `InvalidInputError` for
 * what the source's inventory does not have.
 */
export function plannedMachine(
  design: MachineDesign,
  { owner, inventory }: { owner: MachineOwner; inventory: Inventory | undefined },
): Omit<CommandInput<"define-machine">, "disks" | "dryRun"> {
  const { id, sourceId, pointId, disks } = owner;
  const { hypervisor, bootDisk } = design;
  if (bootDisk !== undefined && !disks.includes(bootDisk))
    throw new InvalidInputError([{ path: "bootDisk", message: `there is no disk ${bootDisk}` }]);
  const title = inventory?.hostname ?? id;
  return {
    ...{ ownerId: id, sourceId, pointId, hypervisor, bootDisk, title: title.slice(0, 256) },
    name: design.name ?? machineName(title, id),
    shape: machineShape(design, owner, inventory),
    systemDisks: systemDisks(inventory, disks),
  };
}

/** The source's name, as far as it can be a machine's, and the end of the owner's id. */
function machineName(title: string, ownerId: string): string {
  const plain = title
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, "-")
    .slice(0, NAME_CHARACTERS)
    .replace(/^[.-]+|[.-]+$/g, "");
  return `${plain || "machine"}-${ownerId.replace(/^[a-z]+_/, "").slice(-6)}`;
}

/** What the request does not say is as the source has it. */
function machineShape(
  request: MachineDesign,
  { id, firmware }: MachineOwner,
  inventory: Inventory | undefined,
): MachineShape {
  const { memoryBytes = UNKNOWN, operatingSystem, cpu } = inventory ?? {};
  const memoryMiB =
    memoryBytes === UNKNOWN ? DEFAULT_MEMORY_MIB : Math.max(16, Math.floor(memoryBytes / MIB));
  return {
    cpuCount: request.cpuCount ?? Math.min(512, cpu?.count ?? 1),
    memoryMiB: request.memoryMiB ?? memoryMiB,
    firmware: request.firmware ?? firmware,
    diskBus: request.diskBus ?? "sata",
    // Every kernel of Linux that is in use has a driver for both. Only the disks' must be in its initramfs.
    cardModel: request.cardModel ?? (operatingSystem?.family === "linux" ? "virtio" : "e1000"),
    clock: operatingSystem?.family === "windows" ? "local" : "utc",
    acceleration: request.acceleration,
    cards: request.cards.map((card, index) => ({
      link: card.link,
      address: addressOf(card, { path: `cards.${index}.keepAddressOf`, inventory, seed: [id, index] }),
    })),
  };
}

function addressOf(
  { keepAddressOf }: WantedCard,
  given: { path: string; inventory: Inventory | undefined; seed: (string | number)[] },
): string {
  if (keepAddressOf === undefined) return newAddress(given.seed);
  const { path } = given;
  const found = given.inventory?.network.interfaces.find(({ name }) => name === keepAddressOf);
  const address = found && hardwareAddressOf(found);
  if (address === undefined)
    throw new InvalidInputError([
      { path, message: `the source has no interface ${keepAddressOf} with an address` },
    ]);
  const read = CardAddress.safeParse(address);
  if (!read.success)
    throw new InvalidInputError([
      { path, message: `a card cannot have the address ${address} of ${keepAddressOf}` },
    ]);
  return read.data;
}

/** The same each time, so that defining the machine again does not give its system another card. */
function newAddress(seed: (string | number)[]): string {
  const digest = createHash("sha256")
    .update(canonicalJson(["card", ...seed]))
    .digest();
  // QEMU's own prefix.
  return ["52", "54", "00", ...[0, 1, 2].map((at) => digest.subarray(at, at + 1).toString("hex"))].join(":");
}

/**
 * The command by which the machine was defined, or may have been; `undefined` if the target host never got
 * one.
 */
export function definingCommand(commands: readonly CommandRecord[]): CommandRecord | undefined {
  return latest(commands.filter(({ kind, input }) => kind === "define-machine" && input.dryRun !== true));
}

/** The disks of the machine that was defined, or may have been; `undefined` if there is none. */
export function definedDisks(commands: readonly CommandRecord[]): readonly WrittenDisk[] | undefined {
  return commandKinds["define-machine"].input.safeParse(definingCommand(commands)?.input).data?.disks;
}

/** What was done with the machine of a conversion, recovery or cutover, newest first. */
export function machineOperations(commands: readonly CommandRecord[]): MachineOperation[] {
  return commands
    .filter(isAboutMachine)
    .map(operationOf)
    .sort((a, b) => (a.issuedAt === b.issuedAt ? compare(b.id, a.id) : compare(b.issuedAt, a.issuedAt)));
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export function operationOf(command: CommandRecord): MachineOperation {
  const { id, ownerId, agentId, state, requestedBy, issuedAt, endedAt, failure } = command;
  return {
    ...{
      id,
      ownerId,
      targetId: agentId,
      action: actionOf(command),
      state,
      requestedBy,
      issuedAt,
    },
    ...(endedAt === undefined ? {} : { endedAt }),
    ...(failure === undefined ? {} : { failure }),
    ...outputOf(command),
  };
}

function actionOf({ kind, input }: CommandRecord): MachineOperation["action"] {
  if (kind === "adapt-machine") return "adapt";
  if (kind === "power-machine") return input.power === "on" ? "start" : "stop";
  return kind === "remove-machine" ? "remove" : "define";
}

function outputOf({ kind, output }: CommandRecord): Partial<MachineOperation> {
  const schema = KINDS.find((one) => one === kind);
  if (schema === "adapt-machine") {
    const adaptation = commandKinds[schema].output.safeParse(output).data;
    return adaptation ? { adaptation } : {};
  }
  const read = schema && commandKinds[schema].output.safeParse(output);
  return read?.success ? read.data : {};
}
