import type { Log } from "#shared/log.ts";
import type { AgentMessenger, Clock, CommandKey, WaitingSteps } from "../ports.ts";
import type { Store } from "../store/store.ts";

/** The dependencies of all code that sends a conversion's commands. */
export interface CommandDeps {
  store: Store;
  agents: AgentMessenger;
  commandKey: Pick<CommandKey, "sign">;
  steps: WaitingSteps;
  clock: Clock;
  log: Log;
}

/** ISO 8601 in UTC. */
export function timestamp(clock: Clock): string {
  return new Date(clock.now()).toISOString();
}
