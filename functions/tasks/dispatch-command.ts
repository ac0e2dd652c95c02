import * as z from "zod";
import { type CommandKind, commandKinds } from "#shared/protocol/commands.ts";
import { AgentId, DiskName, OwnerId } from "#shared/protocol/ids.ts";
import { AgentSystem } from "#shared/protocol/machine.ts";
import { buildCommanding } from "../conversion/build.ts";
import type { CommandDeps } from "../conversion/deps.ts";
import { dispatch } from "../conversion/dispatch.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { validate } from "../middleware/validate.ts";

const kinds = Object.keys(commandKinds) as [CommandKind, ...CommandKind[]];

export const Input = z.object({
  ownerId: OwnerId,
  agentId: AgentId,
  kind: z.enum(kinds),
  /** Tells commands of one kind apart. */
  disk: DiskName.optional(),
  label: z.string().nullish(),
  /** Only an agent in this system of its machine carries it out; the one that it enrolled from if absent. */
  environment: AgentSystem.nullish(),
  /** A higher round asks for the same work again although it is done. */
  round: z.int().positive().default(1),
  input: z.record(z.string(), z.unknown()),
  taskToken: z.string(),
});

export const handler = taskHandler({
  name: "tasks/dispatch-command",
  input: Input,
  build: buildCommanding,
  run,
});

/** Sends an agent the command for a step of the workflow. The agent's events end the step. */
export async function run(
  { disk, label, input, environment, ...request }: z.output<typeof Input>,
  deps: CommandDeps,
): Promise<{ commandId?: string }> {
  // If the workflow's input is invalid, the step fails here with the field's name, not at the agent.
  validate(commandKinds[request.kind].input, input, "input");
  const named = { label: label ?? disk, environment: environment ?? undefined };
  return dispatch({ ...request, ...named, input }, deps);
}
