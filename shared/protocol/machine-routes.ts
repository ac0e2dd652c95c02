/** The operations on the machine of a conversion, recovery or cutover; a part of `routes.ts`. */
import * as z from "zod";
import { Failure, Timestamp } from "./common.ts";
import {
  CardLink,
  DefinedMachine,
  HypervisorKind,
  MachineName,
  MachinePower,
  MachineShape,
} from "./defined-machine.ts";
import { AgentId, CommandId, DiskName, OwnerId } from "./ids.ts";
import { NewAddresses } from "./new-address.ts";
import type { Route } from "./route.ts";
import { identityChoice, ShownAdaptation, WantedMachine } from "./wanted-machine.ts";

/** A card of the machine. Cards get new addresses unless they keep that of a source's interface. */
const WantedCard = z.strictObject({
  link: CardLink,
  /** The source's interface whose address it has. Two such cards on one network disturb each other. */
  keepAddressOf: z.string().min(1).max(256).optional(),
});
export type WantedCard = z.infer<typeof WantedCard>;

const { cpuCount, memoryMiB, firmware, diskBus, cardModel, acceleration } = MachineShape.shape;

/** What a machine is to be like. */
export const MachineDesign = z.strictObject({
  hypervisor: HypervisorKind,
  /** Made of the source's name and the conversion's id if absent. */
  name: MachineName.optional(),
  /** What is absent is as the source has it. */
  cpuCount: cpuCount.optional(),
  memoryMiB: memoryMiB.optional(),
  firmware: firmware.optional(),
  /** `sata` and, except for Linux, `e1000` if absent: nearly every system has drivers for them. */
  diskBus: diskBus.optional(),
  cardModel: cardModel.optional(),
  cards: z.array(WantedCard).max(16).default([]),
  acceleration: acceleration.default("if-offered"),
  bootDisk: DiskName.optional(),
});
export type MachineDesign = z.infer<typeof MachineDesign>;

const DefineMachine = MachineDesign.extend({
  action: z.literal("define"),
  dryRun: z.boolean().default(false),
});
export type DefineMachine = z.infer<typeof DefineMachine>;

const AdaptMachine = z.strictObject({
  action: z.literal("adapt"),
  /**
   * The source's port whose place each card takes, in the order of the cards. If absent, the port whose
   * address a card keeps, or else the source's ports that have addresses, in their order.
   */
  ports: z.array(z.string().min(1).max(64)).max(16).optional(),
  ...identityChoice,
  /** What interfaces of the system get in place of their addresses. */
  addresses: NewAddresses.default([]),
  purpose: WantedMachine.shape.purpose.default("production"),
  dryRun: z.boolean().default(false),
});
export type AdaptMachine = z.infer<typeof AdaptMachine>;

/** What to do with the machine of a conversion, recovery or cutover. */
export const MachineAction = z.discriminatedUnion("action", [
  DefineMachine,
  AdaptMachine,
  z.strictObject({ action: z.literal("start") }),
  z.strictObject({ action: z.literal("stop"), atOnce: z.boolean().default(false) }),
  z.strictObject({ action: z.literal("remove"), disks: z.boolean().default(false) }),
]);
export type MachineAction = z.infer<typeof MachineAction>;

/** One action on the machine of a conversion, recovery or cutover, and what came of it. */
export const MachineOperation = z.object({
  id: CommandId,
  ownerId: OwnerId,
  targetId: AgentId,
  action: z.enum(["define", "adapt", "start", "stop", "remove"]),
  /** Of the target host's command. */
  state: z.string(),
  requestedBy: z.string(),
  issuedAt: Timestamp,
  endedAt: Timestamp.optional(),
  failure: Failure.optional(),
  machine: DefinedMachine.optional(),
  power: MachinePower.optional(),
  disksRemoved: z.boolean().optional(),
  /** Only of a dry run. */
  definitions: z.array(z.object({ name: z.string(), text: z.string() })).optional(),
  adaptation: ShownAdaptation.optional(),
});
export type MachineOperation = z.infer<typeof MachineOperation>;

export const machineRoutes = {
  changeMachine: {
    method: "POST",
    path: "/owners/{id}/machine",
    handler: "machines",
    auth: "user",
    summary:
      "Has the target host define, adapt, start, stop or remove the virtual machine of the disks of a conversion, recovery or cutover.",
    body: MachineAction,
    response: MachineOperation,
    status: 202,
  },
  listMachineOperations: {
    method: "GET",
    path: "/owners/{id}/machine",
    handler: "machines",
    auth: "user",
    summary:
      "Lists what was done with the virtual machine of a conversion, recovery or cutover, newest first.",
    response: z.object({ items: z.array(MachineOperation) }),
    status: 200,
  },
} as const satisfies Record<string, Route>;
