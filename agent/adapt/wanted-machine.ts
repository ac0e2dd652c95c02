import { z } from "zod";
import { CardAddress, DiskBus, MachineShape } from "#shared/protocol/defined-machine.ts";

const InterfaceName = z.string().min(1).max(64);

/** The machine that a system is adapted to. */
export const WantedMachine = z.strictObject({
  diskBus: DiskBus,
  firmware: MachineShape.shape.firmware,
  cardModel: MachineShape.shape.cardModel,
  cards: z
    .array(
      z.strictObject({
        address: CardAddress,
        /** The source's port whose place it takes: its name, addresses and routes are kept. */
        replaces: z.strictObject({ name: InterfaceName, address: z.string().max(64) }).optional(),
      }),
    )
    .max(16),
  machineId: z.enum(["kept", "new"]),
  hostKeys: z.enum(["kept", "new"]),
  /** In a drill, agents and clusters of the source stay off, which would act in its name. */
  purpose: z.enum(["drill", "production"]),
});
export type WantedMachine = z.infer<typeof WantedMachine>;
