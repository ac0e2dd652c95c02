import { type CommandRecord, messageOf, plan } from "#shared/domain/command.ts";
import { cutoverAsMachineOwner } from "#shared/domain/cutover/cutover.ts";
import { requireHeld } from "#shared/domain/lease.ts";
import { type MachineOwner, machineCommand, machineOperations, operationOf } from "#shared/domain/machine.ts";
import { recoveryAsMachineOwner } from "#shared/domain/recovery.ts";
import type { Environment } from "#shared/environment.ts";
import { ForbiddenError } from "#shared/errors.ts";
import { CutoverId, RecoveryId } from "#shared/protocol/ids.ts";
import { buildCommanding } from "../conversion/build.ts";
import { type CommandDeps, timestamp } from "../conversion/deps.ts";
import { sendCommand } from "../conversion/send-to-agent.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type { Store } from "../store/store.ts";

export const handler = apiHandler({
  name: "api/machines",
  build: (environment: Environment<"api/machines">, runtime: Runtime): CommandDeps =>
    buildCommanding(environment, runtime),
  operations: { changeMachine, listMachineOperations },
});

/**
 * Sends the target host the command for an action. The same action again, while the first is not finished, is
 * the same command. The target host gets it when it connects, if it is away.
 */
export async function changeMachine(
  { path, body, actor }: Call<"changeMachine">,
  deps: CommandDeps,
): Promise<Answer<"changeMachine">> {
  const { store, clock } = deps;
  const requestedBy = actorName(actor);
  const { owner, commands } = await ownerOf(path.id, store);
  const target = await store.agents.get(owner.targetId);
  if (target.revokedAt)
    throw new ForbiddenError(`${target.role} ${target.name} was revoked at ${target.revokedAt}`);
  const { inventory } = await store.agents.get(owner.sourceId);
  // A machine that never had its lease would run without one: its host has nothing to renew.
  if (body.action === "start" && owner.network === "production")
    requireHeld(await store.leases.get(owner.sourceId), owner.id);
  const wanted = machineCommand(body, { owner, inventory, commands, requestedBy });
  if ("open" in wanted) {
    await sendCommand(deps, owner.targetId, messageOf(wanted.open));
    return operationOf(wanted.open);
  }
  const now = timestamp(clock);
  const command = await store.commands.save(plan(wanted, commands, now).command);
  await store.audit.add({
    ...{ at: now, actor: requestedBy, action: `machine-${body.action}-requested`, subject: path.id },
    ...{ outcome: "done", details: { commandId: command.id, ...body } },
  });
  await sendCommand(deps, owner.targetId, messageOf(command));
  return operationOf(command);
}

export async function listMachineOperations(
  { path }: Call<"listMachineOperations">,
  { store }: CommandDeps,
): Promise<Answer<"listMachineOperations">> {
  const { commands } = await ownerOf(path.id, store);
  return { items: machineOperations(commands) };
}

/** A conversion, recovery or cutover with its commands. Throws `NotFoundError`. */
async function ownerOf(
  id: string,
  { conversions, recoveries, cutovers }: Store,
): Promise<{ owner: MachineOwner; commands: CommandRecord[] }> {
  if (RecoveryId.safeParse(id).success) {
    const { record: recovery, commands } = await recoveries.withCommands(id);
    return { owner: recoveryAsMachineOwner(recovery, commands), commands };
  }
  if (CutoverId.safeParse(id).success) {
    const { record: cutover, commands } = await cutovers.withCommands(id);
    return { owner: cutoverAsMachineOwner(cutover, commands), commands };
  }
  const { record: conversion, commands } = await conversions.withCommands(id);
  return { owner: { ...conversion, images: conversion.result?.disks }, commands };
}
