import { MachineSilentError } from "#shared/errors.ts";
import type { LeftOutCheck } from "#shared/protocol/isolated-network.ts";
import { firstAnswer } from "../answer/first-answer.ts";
import { reachWithout } from "../answer/reach.ts";
import type { CheckMeans } from "../answer/wait.ts";
import { networksToAskIn } from "../hypervisor/machine-keeper.ts";
import { noteOnly } from "./boot-check.ts";
import type { Executor } from "./executor.ts";
import { definedMachine, type MachineDeps, shownMachine } from "./machine.ts";

const PROGRESS_MS = 5000;
/** The longest reason of an answer that is reported. */
const REASON_CHARACTERS = 500;

/** Switches the owner's machine on and waits until it answers. */
export function bringUpExecutor(deps: MachineDeps & { reach: CheckMeans }): Executor<"bring-up-machine"> {
  return async (input, { signal, progress }) => {
    const { ownerId, check, timeoutSeconds, lease, leavesOut } = input;
    const { machine, keeper } = await definedMachine(deps, ownerId);
    const began = performance.now();
    const seconds = () => (performance.now() - began) / 1000;
    const answers: string[] = [];
    const leftOut: LeftOutCheck[] = [];
    let noted = "switched on";
    let written: string | undefined;
    const note = (text: string, scriptOutput = written) => {
      noted = text;
      written = scriptOutput;
      progress(noteOnly(noted, seconds()));
    };
    const timer = setInterval(() => note(noted), PROGRESS_MS);
    const limit = AbortSignal.timeout(timeoutSeconds * 1000);
    const ending = AbortSignal.any([signal, limit]);
    try {
      const { name, uuid } = machine;
      if (lease)
        await deps.leases.open({ ownerId, sourceId: lease.sourceId, name, uuid }, lease.term, ending);
      else await deps.leases.requireMayRun(ownerId);
      const onAnswer = (reason: string) => {
        answers.push(reason);
      };
      const onLeftOut = leavesOut && ((one: LeftOutCheck) => void leftOut.push(one));
      // In an isolated network only the machine answers, whichever address a name leads to.
      const former = networksToAskIn(machine) ? [] : (machine.formerAddresses ?? []);
      const subject = { keeper, machine, reach: reachWithout(former, deps.reach) };
      await firstAnswer(subject, check, { signal: ending, note, onAnswer, onLeftOut });
      const reason = answers.join("; ").slice(0, REASON_CHARACTERS);
      const answer = { seconds: seconds(), reason };
      return { machine: shownMachine(machine), answer, ...(leftOut.length > 0 && { leftOut }) };
    } catch (error) {
      signal.throwIfAborted();
      if (!limit.aborted) throw error;
      const so = answers.length === 0 ? "nothing" : `only this: ${answers.join("; ")},`;
      throw new MachineSilentError(machine.name, `${so} within ${timeoutSeconds} s; last: ${noted}`, written);
    } finally {
      clearInterval(timer);
    }
  };
}
