import { setTimeout as sleep } from "node:timers/promises";
import { AddressInUseError } from "#shared/errors.ts";
import {
  type AnswerCheck,
  endpointOfCheck,
  type SingleCheck,
  singleChecks,
} from "#shared/protocol/answer-check.ts";
import type { KeptMachine, MachineKeeper } from "../hypervisor/machine-keeper.ts";
import { findCheckScript, type ScriptRefusal, scriptRefusal } from "./check-script.ts";
import { connectionRefusal } from "./connection.ts";
import { answerOnConsole } from "./console-answer.ts";
import { httpRefusal } from "./http-request.ts";
import type { CheckMeans, Wait } from "./wait.ts";

const AGAIN_MS = 500;
const SCRIPT_AGAIN_MS = 2000;

/** The machine that is to answer. */
interface Subject {
  keeper: MachineKeeper;
  machine: KeptMachine;
  reach: CheckMeans;
}

/**
 * Switches the machine on, unless it is on, and waits for one check after the other: first its console, which
 * shows the start only once, and scripts last. Calls `onAnswer` with each answer. Rejects with the signal's
 * reason or `MachineSilentError`, and before anything is switched on with `AddressInUseError`,
 * `CheckScriptMissingError` or `UntrustedFolderError`; with the last two also if a script is changed later.
 */
export async function firstAnswer(
  subject: Subject,
  check: AnswerCheck,
  wait: Wait & { onAnswer: (reason: string) => void },
): Promise<void> {
  const { keeper, machine, reach } = subject;
  const checks = singleChecks(check).toSorted((a, b) => RANKS[a.kind] - RANKS[b.kind]);
  const wasOn = (await keeper.power(machine)) === "on";
  for (const one of checks) {
    if (one.kind === "script") await findCheckScript(reach.scriptsFolder, one.name);
    else if (!wasOn) await requireSilence(one, reach);
  }
  await keeper.start(machine);
  for (const one of checks)
    wait.onAnswer(
      one.kind === "console"
        ? await answerOnConsole(keeper, machine, { expected: one.expect, wasOn, wait })
        : await untilAccepted(attemptOf(one, subject), wait),
    );
}

const RANKS: Record<SingleCheck["kind"], number> = { console: 0, tcp: 1, http: 1, script: 2 };

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
  pauseMs: number;
  /** Why it did not succeed; `undefined` if it did. */
  refusal: (signal: AbortSignal) => Promise<ScriptRefusal | undefined>;
}

function attemptOf(check: Exclude<SingleCheck, { kind: "console" }>, { machine, reach }: Subject): Attempt {
  if (check.kind === "script")
    return {
      ...{ what: `the check script ${check.name}`, accepted: `the check script ${check.name} succeeded` },
      pauseMs: SCRIPT_AGAIN_MS,
      refusal: (signal) => scriptRefusal(reach.scriptsFolder, check.name, machine, signal),
    };
  const inWords = (why: string | undefined) => (why === undefined ? undefined : { why });
  if (check.kind === "http")
    return {
      ...{ what: check.url, accepted: `${check.url} answers`, pauseMs: AGAIN_MS },
      refusal: async (signal) => inWords(await httpRefusal(check, reach, signal)),
    };
  const { host, port } = check;
  return {
    ...{ what: `port ${port} of ${host}`, accepted: `${host} accepts connections on port ${port}` },
    pauseMs: AGAIN_MS,
    refusal: async (signal) => {
      const why = await connectionRefusal(check, reach);
      signal.throwIfAborted();
      return inWords(why);
    },
  };
}

async function untilAccepted(attempt: Attempt, { signal, note }: Wait): Promise<string> {
  const { what, accepted, pauseMs, refusal } = attempt;
  for (;;) {
    const refused = await refusal(signal);
    if (refused === undefined) return accepted;
    note(`${what}: ${refused.why}`, refused.output);
    await sleep(pauseMs, undefined, { signal });
  }
}
