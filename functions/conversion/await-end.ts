import type { Workflow } from "../ports.ts";

/**
 * Only its workflow ends what was cancelled. If an interrupted start left none, starts it now: its first step
 * sees the mark. If the workflow was stopped or timed out, so that it does not clean up, `abandon` does.
 */
export async function awaitEnd<T extends { id: string }>(
  cancelled: T,
  input: unknown,
  { workflow, abandon }: { workflow: Pick<Workflow, "start" | "isRunning">; abandon: () => Promise<T> },
): Promise<T> {
  const { id } = cancelled;
  if ((await workflow.start(id, input)) === "started" || (await workflow.isRunning(id))) return cancelled;
  return abandon();
}
