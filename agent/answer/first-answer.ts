import { setTimeout as sleep } from "node:timers/promises";
import { AddressInUseError } from "#shared/errors.ts";
import {
  type AnswerCheck,
  endpointOfCheck,
  type SingleCheck,
  singleChecks,
} from "#shared/protocol/answer-check.ts";
import type { KeptMachine, MachineKeeper } from "../hypervisor/machine-keeper.ts";
import { connectionRefusal } from "./connection.ts";
import { answerOnConsole } from "./console-answer.ts";
import { httpRefusal } from "./http-request.ts";
import type { CheckMeans, Wait } from "./wait.ts";

const AGAIN_MS = 500;

/**
 * Switches the machine on, unless it is on, and waits for one check after the other; the console is the
 * first, as it shows the start only once. Calls `onAnswer` with each answer. Rejects with the signal's
 * reason, `MachineSilentError`, or `AddressInUseError` before anything was switched on.
 */
export async function firstAnswer(
  { keeper, machine, reach }: { keeper: MachineKeeper; machine: KeptMachine; reach: CheckMeans },
  check: AnswerCheck,
  wait: Wait & { onAnswer: (reason: string) => void },
): Promise<void> {
  const checks = singleChecks(check).toSorted((a, b) => rank(a) - rank(b));
  const wasOn = (await keeper.power(machine)) === "on";
  if (!wasOn) for (const one of checks) await requireSilence(one, reach);
  await keeper.start(machine);
  for (const one of checks)
    wait.onAnswer(
      one.kind === "console"
        ? await answerOnConsole(keeper, machine, { expected: one.expect, wasOn, wait })
        : await untilAccepted(attemptOf(one, reach), wait),
    );
}

const rank = ({ kind }: SingleCheck): number => (kind === "console" ? 0 : 1);

/** What answers before the machine is on is not the machine, also if it answers that it is not ready. */
async function requireSilence(check: SingleCheck, reach: CheckMeans): Promise<void> {
  const endpoint = endpointOfCheck(check);
  if (endpoint && (await connectionRefusal(endpoint, reach)) === undefined)
    throw new AddressInUseError(endpoint.host, endpoint.port);
}

interface Attempt {
  what: string;
  /** What its success is, in words. */
  accepted: string;
  /** Why it did not succeed; `undefined` if it did. */
  refusal: (signal: AbortSignal) => Promise<string | undefined>;
}

function attemptOf(check: Exclude<SingleCheck, { kind: "console" }>, reach: CheckMeans): Attempt {
  if (check.kind === "http")
    return {
      what: check.url,
      accepted: `${check.url} answers`,
      refusal: (signal) => httpRefusal(check, reach, signal),
    };
  const { host, port } = check;
  return {
    what: `port ${port} of ${host}`,
    accepted: `${host} accepts connections on port ${port}`,
    refusal: () => connectionRefusal(check, reach),
  };
}

async function untilAccepted({ what, accepted, refusal }: Attempt, { signal, note }: Wait): Promise<string> {
  for (;;) {
    const why = await refusal(signal);
    if (why === undefined) return accepted;
    signal.throwIfAborted();
    note(`${what}: ${why}`);
    await sleep(AGAIN_MS, undefined, { signal });
  }
}
