/** The virtual machine of a conversion's disks: what the target host is asked to do, and what it answered. */
import { createHash } from "node:crypto";
import { InvalidInputError, WrongStateError } from "../errors.ts";
import { canonicalJson } from "../protocol/canonical-json.ts";
import { type CommandInput, type CommandKind, commandKinds } from "../protocol/commands.ts";
import { CardAddress, type MachineShape } from "../protocol/defined-machine.ts";
import { type Inventory, UNKNOWN } from "../protocol/inventory.ts";
import type {
  DefineMachine,
  MachineAction,
  MachineOperation,
  WantedCard,
} from "../protocol/machine-routes.ts";
import { type CommandRecord, isOpen, type WantedCommand } from "./command.ts";
import type { ConversionRecord } from "./conversion.ts";
import { hardwareAddressOf } from "./hardware-address.ts";
import { systemDisks } from "./system-disks.ts";

const MIB = 2 ** 20;
const DEFAULT_MEMORY_MIB = 1024;
/** Of a name; the rest is for the conversion. */
const NAME_CHARACTERS = 40;
const KINDS = ["define-machine", "power-machine", "remove-machine"] as const satisfies CommandKind[];

function isAboutMachine({ kind }: CommandRecord): boolean {
  return KINDS.some((one) => one === kind);
}

/**
 * The command that carries out an action, or the open one that already does. Throws `WrongStateError` if the
 * conversion has no disks yet or the target host is working on another action, and `InvalidInputError` for
 * what the source's inventory does not have.
 */
export function machineCommand(
  action: MachineAction,
  given: {
    conversion: ConversionRecord;
    inventory: Inventory | undefined;
    commands: readonly CommandRecord[];
    requestedBy: string;
  },
): WantedCommand | { open: CommandRecord } {
  const { conversion, commands, requestedBy } = given;
  const { id, targetId, state, result } = conversion;
  if (state !== "completed" || !result)
    throw new WrongStateError(`conversion ${id} is ${state}: only a completed one has disks for a machine`);
  const wanted = workOf(action, { ...given, result });
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
    conversion: ConversionRecord;
    inventory: Inventory | undefined;
    result: NonNullable<ConversionRecord["result"]>;
  },
): Pick<WantedCommand, "kind" | "input"> {
  const ownerId = given.conversion.id;
  switch (action.action) {
    case "define":
      return { kind: "define-machine", input: { ...defineInput(action, given) } };
    case "start":
      return { kind: "power-machine", input: { ownerId, power: "on", atOnce: false } };
    case "stop":
      return { kind: "power-machine", input: { ownerId, power: "off", atOnce: action.atOnce } };
    case "remove":
      return { kind: "remove-machine", input: { ownerId, disks: action.disks } };
  }
}

function defineInput(
  request: DefineMachine,
  { conversion, inventory, result }: Parameters<typeof workOf>[1],
): CommandInput<"define-machine"> {
  const { id, sourceId, pointId, disks } = conversion;
  const { hypervisor, bootDisk, dryRun } = request;
  if (bootDisk !== undefined && !disks.includes(bootDisk))
    throw new InvalidInputError([{ path: "bootDisk", message: `the conversion has no disk ${bootDisk}` }]);
  const title = inventory?.hostname ?? id;
  return {
    ...{ ownerId: id, sourceId, pointId, hypervisor, bootDisk, dryRun, title: title.slice(0, 256) },
    disks: result.disks,
    name: request.name ?? machineName(title, id),
    shape: machineShape(request, conversion, inventory),
    systemDisks: systemDisks(inventory, disks),
  };
}

/** The source's name, as far as it can be a machine's, and the end of the conversion's id. */
function machineName(title: string, conversionId: string): string {
  const plain = title
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, "-")
    .slice(0, NAME_CHARACTERS)
    .replace(/^[.-]+|[.-]+$/g, "");
  return `${plain || "machine"}-${conversionId.replace("cnv_", "").slice(-6)}`;
}

/** What the request does not say is as the source has it. */
function machineShape(
  request: DefineMachine,
  { id, firmware }: ConversionRecord,
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

/** What was done with the machine of a conversion, newest first. */
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
      conversionId: ownerId,
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
  if (kind === "power-machine") return input.power === "on" ? "start" : "stop";
  return kind === "remove-machine" ? "remove" : "define";
}

function outputOf({ kind, output }: CommandRecord): Partial<MachineOperation> {
  const schema = KINDS.find((one) => one === kind);
  const read = schema && commandKinds[schema].output.safeParse(output);
  return read?.success ? read.data : {};
}
