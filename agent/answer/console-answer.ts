import { MachineSilentError } from "#shared/errors.ts";
import { GuestConsole, STAGE_NOTES } from "../hypervisor/guest-console.ts";
import type { KeptMachine, MachineKeeper } from "../hypervisor/machine-keeper.ts";
import type { Wait } from "./wait.ts";

/**
 * Waits until the machine's console shows that it is up, and returns what showed it. Throws
 * `MachineSilentError` if it shows that it will not come up.
 */
export async function answerOnConsole(
  keeper: MachineKeeper,
  machine: KeptMachine,
  { expected, wasOn, wait }: { expected: string | undefined; wasOn: boolean; wait: Wait },
): Promise<string> {
  const judge = new GuestConsole(expected);
  const terminal = await keeper.openConsole(machine);
  const end = () => terminal.output.destroy(wait.signal.reason);
  wait.signal.addEventListener("abort", end, { once: true });
  try {
    wait.signal.throwIfAborted();
    // An interrupted command may have missed the prompt.
    if (wasOn) await terminal.pressEnter();
    for await (const text of terminal.output) {
      const { stage } = judge;
      judge.append(String(text));
      if (judge.stage !== stage) wait.note(STAGE_NOTES[judge.stage]);
      const { verdict } = judge;
      if (verdict.kind === "failed") throw new MachineSilentError(machine.name, verdict.reason);
      if (verdict.kind === "up") return verdict.reason;
    }
    wait.signal.throwIfAborted();
    throw new MachineSilentError(machine.name, "its console ended: it was switched off");
  } finally {
    wait.signal.removeEventListener("abort", end);
    terminal.close();
  }
}
