import { setTimeout as sleep } from "node:timers/promises";
import { AddressInUseError } from "#shared/errors.ts";
import {
  type AnswerCheck,
  endpointOfCheck,
  endpointText,
  type SingleCheck,
  singleChecks,
} from "#shared/protocol/answer-check.ts";
import type { LeftOutCheck } from "#shared/protocol/isolated-network.ts";
import { type KeptMachine, type MachineKeeper, networksToAskIn } from "../hypervisor/machine-keeper.ts";
import { Asker } from "./asker.ts";
import { findCheckScript, type ScriptRefusal, scriptRefusal } from "./check-script.ts";
import { connectionRefusal } from "./connection.ts";
import { answerOnConsole } from "./console-answer.ts";
import { httpRefusal } from "./http-request.ts";
import { type IsolatedPlace, type IsolatedRefusal, isolatedRefusal } from "./isolated-check.ts";
import type { CheckMeans, Wait } from "./wait.ts";

const AGAIN_MS = 500;
const SCRIPT_AGAIN_MS = 2000;

/** The machine that is to answer. */
interface Subject {
  keeper: MachineKeeper;
  machine: KeptMachine;
  reach: CheckMeans;
}

interface Waiting extends Wait {
  onAnswer: (reason: string) => void;
  /**
   * Called with each check that is about something else than the isolated machine, which is then left out.
   * If absent, such a check has not succeeded.
   */
  onLeftOut?: ((check: LeftOutCheck) => void) | undefined;
}

/**
 * Switches the machine on, unless it is on, and waits for one check after the other: first its console, which
 * shows the start only once, and scripts last. While it is isolated, it is asked in its isolated networks.
 * Calls `onAnswer` with each answer. Rejects with the signal's reason, `MachineSilentError`, or
 * `HypervisorFailedError` if there is no way into these networks, and before anything is switched on with
 * `AddressInUseError`, `CheckScriptMissingError` or `UntrustedFolderError`; with the last two also if a
 * script is changed later.
 */
export async function firstAnswer(subject: Subject, check: AnswerCheck, wait: Waiting): Promise<void> {
  const { keeper, machine, reach } = subject;
  const checks = singleChecks(check).toSorted((a, b) => RANKS[a.kind] - RANKS[b.kind]);
  const wasOn = (await keeper.power(machine)) === "on";
  const networks = networksToAskIn(machine);
  for (const one of checks) {
    if (one.kind === "script") await findCheckScript(reach.scriptsFolder, one.name);
    // In an isolated network only the machine can answer.
    else if (!wasOn && !networks) await requireSilence(one, reach);
  }
  await keeper.start(machine);
  await using asking = new AsyncDisposableStack();
  let place: IsolatedPlace | undefined;
  for (const one of checks) {
    // Not before the console is open: that would miss what the system shows first.
    if (networks && !place && endpointOfCheck(one)) {
      const bridge = await keeper.isolatedBridge(machine);
      place = { networks, asker: asking.use(await Asker.start(bridge, networks, wait.signal)) };
    }
    wait.onAnswer(
      one.kind === "console"
        ? await answerOnConsole(keeper, machine, { expected: one.expect, wasOn, wait })
        : await untilAccepted(attemptOf(one, subject, place), wait),
    );
  }
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
  refusal: (signal: AbortSignal) => Promise<(ScriptRefusal & IsolatedRefusal) | undefined>;
}

function attemptOf(
  check: Exclude<SingleCheck, { kind: "console" }>,
  { machine, reach }: Subject,
  place: IsolatedPlace | undefined,
): Attempt {
  if (check.kind === "script")
    return {
      ...{ what: `the check script ${check.name}`, accepted: `the check script ${check.name} succeeded` },
      pauseMs: SCRIPT_AGAIN_MS,
      refusal: (signal) => scriptRefusal(reach.scriptsFolder, check.name, machine, signal),
    };
  if (place) {
    const what = endpointText(check) ?? "";
    return {
      ...{ what, accepted: `${what} answers in the isolated network`, pauseMs: AGAIN_MS },
      refusal: (signal) => isolatedRefusal(check, place, reach, signal),
    };
  }
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

async function untilAccepted(attempt: Attempt, { signal, note, onLeftOut }: Waiting): Promise<string> {
  const { what, accepted, pauseMs, refusal } = attempt;
  for (;;) {
    const refused = await refusal(signal);
    if (refused === undefined) return accepted;
    if (refused.isElsewhere && onLeftOut) {
      onLeftOut({ check: what, why: refused.why });
      return `${what} was not asked in the isolated network: ${refused.why}`;
    }
    note(`${what}: ${refused.why}`, refused.output);
    await sleep(pauseMs, undefined, { signal });
  }
}
