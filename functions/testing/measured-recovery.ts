/** A recovery to a test network, which measures how long the parts of a cutover's outage take. */
import { plan, succeeded } from "#shared/domain/command.ts";
import { aRecovery } from "#shared/domain/testing/records.ts";
import type { CommandKind } from "#shared/protocol/commands.ts";
import type { Store } from "../store/store.ts";

const START = Date.parse("2030-01-01T00:00:00.000Z");

/** What a recovery with `--adapt` does on its target host, and how many seconds each took. */
const USUAL = { "clone-standby": 2, "adapt-machine": 3, "define-machine": 1, "bring-up-machine": 4 };

/** Records a recovery on `agt_target` whose commands, by kind or by kind and label, took these seconds. */
export async function measuredRecovery(
  store: Pick<Store, "recoveries" | "commands">,
  recovery: { id: string; sourceId: string },
  took: Record<string, number> = USUAL,
  adaptation: { computeSeconds: number; applySeconds: number } = { computeSeconds: 1, applySeconds: 1 },
): Promise<void> {
  await store.recoveries.add(aRecovery(recovery));
  await measuredCommands(store, recovery.id, took, { adaptation });
}

/** Records its commands, each `pauseSeconds` after the one before. */
export async function measuredCommands(
  { commands }: Pick<Store, "commands">,
  ownerId: string,
  took: Record<string, number>,
  { adaptation = {}, pauseSeconds = 0 }: { adaptation?: object; pauseSeconds?: number } = {},
): Promise<void> {
  const adapted = { changes: [], commands: [], notes: [], isApplied: true, stale: [], ...adaptation };
  let now = START;
  const at = () => new Date(now).toISOString();
  for (const [wanted, seconds] of Object.entries(took)) {
    const [kind, label] = wanted.split(" ");
    const request = {
      ...{ ownerId, agentId: "agt_target", kind: kind as CommandKind, input: {} },
      ...{ label, round: 1, requestedBy: "ada" },
    };
    const { command } = plan(request, [], at());
    now += seconds * 1000;
    await commands.save(succeeded(command, kind === "adapt-machine" ? adapted : {}, at()));
    now += pauseSeconds * 1000;
  }
}
