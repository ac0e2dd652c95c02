import { FreezeShown } from "../protocol/taken-point.ts";
import { type CommandRecord, latest } from "./command.ts";

/** How the recovery point that these commands took was frozen; empty if the agent reported none. */
export function freezeOf(commands: readonly CommandRecord[]): FreezeShown {
  const taken = latest(
    commands.filter(({ kind, state }) => kind === "take-recovery-point" && state === "succeeded"),
  );
  return FreezeShown.parse(taken?.output ?? {});
}
