import { hash } from "node:crypto";
import * as z from "zod";
import { MachineNotDefinedError, MachineRunningError } from "#shared/errors.ts";
import { canonicalJson } from "#shared/protocol/canonical-json.ts";
import type { CommandInput, CommandOutput } from "#shared/protocol/commands.ts";
import { DefinedMachine, type HypervisorKind } from "#shared/protocol/defined-machine.ts";
import { chooseBootDisk, startableDisks } from "../hypervisor/boot-disk.ts";
import { KeptMachine, type MachineKeeper } from "../hypervisor/machine-keeper.ts";
import type { AgentRecords } from "./agent-records.ts";
import type { ConversionImages } from "./conversion-images.ts";
import type { ExecutionContext, Executors } from "./executor.ts";

/** Written before anything is done to the machine, so that an interrupted command finds what it has begun. */
export const MachineRecord = z.strictObject({ machine: KeptMachine });
export type MachineRecord = z.infer<typeof MachineRecord>;

/** A machine that runs in place of its source. */
export interface LeasedMachine {
  ownerId: string;
  sourceId: string;
  /** Its name in the hypervisor. */
  name: string;
  uuid: string;
}

/** The right of a machine to run in place of its source. A machine that never got a lease needs none. */
export interface MachineLeases {
  /**
   * From now on the machine runs only under this lease, which is renewed. Resolves once it may run. Throws
   * `LeaseEndedError`, or the signal's reason.
   */
  open(machine: LeasedMachine, term: number, signal: AbortSignal): Promise<void>;
  /**
   * Throws `LeaseEndedError` if the owner's machine has a lease that has ended, and passes on why the control
   * plane could not say so.
   */
  requireMayRun(ownerId: string): Promise<void>;
  /** Whether its lease has lapsed or ended, or is permanent while the machine is still stopped. */
  isPaused(ownerId: string): Promise<boolean>;
  /** Ends the machine without letting it run for another moment. */
  kill(ownerId: string): Promise<void>;
  /** The machine no longer exists, and never runs under this lease again. */
  close(ownerId: string): Promise<void>;
}

export interface MachineDeps {
  leases: MachineLeases;
  keepers: Readonly<Record<HypervisorKind, MachineKeeper>>;
  records: Pick<AgentRecords<MachineRecord>, "read" | "write" | "forget">;
  images: Pick<ConversionImages, "require" | "remove">;
  /** Throws `IsolatedCheckUnavailableError` if this host cannot ask a machine that is isolated. */
  requireAsker: () => Promise<void>;
  agentId: string;
}

type MachineKind = "define-machine" | "power-machine" | "connect-machine" | "remove-machine";

/** What a target host does with the machines that it defines. */
export function machineExecutors(deps: MachineDeps): Required<Pick<Executors, MachineKind>> {
  return {
    "define-machine": (input) => define(deps, input),
    "power-machine": (input, context) => power(deps, input, context),
    "connect-machine": (input) => connect(deps, input),
    "remove-machine": (input) => remove(deps, input),
  };
}

async function define(
  deps: MachineDeps,
  input: CommandInput<"define-machine">,
): Promise<CommandOutput<"define-machine">> {
  const machine = await planned(deps, input);
  const keeper = deps.keepers[machine.hypervisor];
  // Before the earlier machine makes way: what this host cannot give leaves everything as it is.
  if (machine.isolatedNetworks) await deps.requireAsker();
  const definitions = await keeper.draft(machine);
  if (input.dryRun) return { machine: shownMachine(machine), definitions };
  const before = (await deps.records.read(input.ownerId))?.machine;
  if (before) await makeWay(deps, before, machine);
  await deps.records.write(input.ownerId, { machine });
  await keeper.define(machine);
  return { machine: shownMachine(machine) };
}

/** The machine that the command asks for, made of the images that this agent wrote. */
async function planned(deps: MachineDeps, input: CommandInput<"define-machine">): Promise<KeptMachine> {
  const { ownerId, hypervisor, name, title, shape, systemDisks, bootDisk } = input;
  const { isolated, isolatedNetworks, formerAddresses } = input;
  const { folder, disks } = await deps.images.require(input);
  const { disk, reason } = chooseBootDisk({
    disks: disks.map((one) => one.name),
    named: bootDisk,
    systemDisks,
    startable: await startableDisks(disks, shape.firmware),
  });
  return {
    ...{ ownerId, agentId: deps.agentId, hypervisor, name, title, shape, folder },
    ...(isolated && { isolated }),
    ...(isolatedNetworks && { isolatedNetworks }),
    ...(formerAddresses && { formerAddresses }),
    uuid: machineUuid(deps.agentId, ownerId),
    disks: disks.map((one) => ({ name: one.name, path: one.path, format: one.format })),
    bootDisk: disk,
    bootReason: reason,
  };
}

/** An earlier machine of another name or hypervisor is removed first, so that there are never two. */
async function makeWay({ keepers }: MachineDeps, before: KeptMachine, next: KeptMachine): Promise<void> {
  if (canonicalJson(before) === canonicalJson(next)) return;
  const keeper = keepers[before.hypervisor];
  if ((await keeper.power(before)) === "on") throw new MachineRunningError(before.name, "defined again");
  if (before.hypervisor !== next.hypervisor || before.name !== next.name) await keeper.undefine(before);
}

async function power(
  deps: MachineDeps,
  { ownerId, power: wanted, atOnce }: CommandInput<"power-machine">,
  { signal }: ExecutionContext,
): Promise<CommandOutput<"power-machine">> {
  const { machine, keeper } = await definedMachine(deps, ownerId);
  if (wanted === "on") {
    await deps.leases.requireMayRun(ownerId);
    await keeper.start(await connected(deps, machine, keeper));
    return { machine: shownMachine(machine), power: wanted };
  }
  // A paused machine hears no button, and must not run until it has shut down.
  if (atOnce && (await deps.leases.isPaused(ownerId))) await deps.leases.kill(ownerId);
  await keeper.stop(machine, { atOnce, signal });
  return { machine: shownMachine(machine), power: wanted };
}

async function connect(
  deps: MachineDeps,
  { ownerId }: CommandInput<"connect-machine">,
): Promise<CommandOutput<"connect-machine">> {
  const { machine, keeper } = await definedMachine(deps, ownerId);
  await deps.leases.requireMayRun(ownerId);
  const open = await connected(deps, machine, keeper);
  return { machine: shownMachine(open), power: (await keeper.power(open)) ?? "off" };
}

/** The record comes last: a command that was interrupted connects the machine again. */
async function connected(
  { records }: MachineDeps,
  machine: KeptMachine,
  keeper: MachineKeeper,
): Promise<KeptMachine> {
  const { isolated, ...open } = machine;
  if (!isolated) return machine;
  await keeper.connect(open);
  await records.write(open.ownerId, { machine: open });
  return open;
}

/** The owner's machine, and what keeps it. Throws `MachineNotDefinedError`. */
export async function definedMachine(
  { records, keepers }: MachineDeps,
  ownerId: string,
): Promise<{ machine: KeptMachine; keeper: MachineKeeper }> {
  const machine = (await records.read(ownerId))?.machine;
  const keeper = machine && keepers[machine.hypervisor];
  if (!machine || !keeper || (await keeper.power(machine)) === undefined)
    throw new MachineNotDefinedError(ownerId);
  return { machine, keeper };
}

/** The record goes last: a command that was interrupted finds the machine again. */
async function remove(
  { records, keepers, images, leases }: MachineDeps,
  { ownerId, disks }: CommandInput<"remove-machine">,
): Promise<CommandOutput<"remove-machine">> {
  const machine = (await records.read(ownerId))?.machine;
  if (machine) await keepers[machine.hypervisor].undefine(machine);
  await leases.close(ownerId);
  if (disks) await images.remove(ownerId);
  if (machine) await records.forget(ownerId);
  return { disksRemoved: disks };
}

export function shownMachine(machine: KeptMachine): DefinedMachine {
  return DefinedMachine.parse(machine);
}

/** The same for each command of this owner on this target host, and on no other. */
function machineUuid(agentId: string, ownerId: string): string {
  const digest = hash("sha256", canonicalJson(["causeway machine", agentId, ownerId]), "hex");
  // Version 8: made of what its maker likes (RFC 9562).
  const parts = [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `8${digest.slice(13, 16)}`,
    `8${digest.slice(17, 20)}`,
  ];
  return [...parts, digest.slice(20, 32)].join("-");
}
