import type { CommandDeps } from "../conversion/deps.ts";
import { order } from "../conversion/order.ts";

/**
 * Has the source put its fence up or take it down. No workflow waits for it: a source that is gone does it
 * when it comes back. Repeating it is harmless. Throws `NotFoundError`.
 */
export async function orderFence(
  ownerId: string,
  { term, isUp }: { term: number; isUp: boolean },
  deps: CommandDeps,
): Promise<void> {
  const { owner, commands } = await deps.store.owners.withCommands(ownerId);
  const { sourceId, targetId, requestedBy } = owner;
  const reason = `The machine of ${ownerId} on target host ${targetId} runs in its place.`;
  await order(
    {
      ...{
        ownerId,
        agentId: sourceId,
        kind: "set-fence",
        label: isUp ? "up" : "down",
        round: 1,
        requestedBy,
      },
      input: { ownerId, term, isUp, reason },
    },
    commands,
    deps,
  );
}
