import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { AddressInUseError, MachineSilentError } from "#shared/errors.ts";
import type { CommandInput } from "#shared/protocol/commands.ts";
import type { AnswerCheck } from "#shared/protocol/defined-machine.ts";
import { GuestConsole } from "../hypervisor/guest-console.ts";
import type { KeptMachine, MachineKeeper } from "../hypervisor/machine-keeper.ts";
import { noteOnly, STAGE_NOTES } from "./boot-check.ts";
import type { Executor } from "./executor.ts";
import { definedMachine, type MachineDeps, shownMachine } from "./machine.ts";

const CONNECT_AGAIN_MS = 500;
const CONNECT_LIMIT_MS = 3000;
const PROGRESS_MS = 5000;

interface Wait {
  signal: AbortSignal;
  /** For people. */
  note: (text: string) => void;
}

/** Switches the owner's machine on and waits until it answers. */
export function bringUpExecutor(deps: MachineDeps): Executor<"bring-up-machine"> {
  return async ({ ownerId, check, timeoutSeconds, lease }, { signal, progress }) => {
    const { machine, keeper } = await definedMachine(deps, ownerId);
    const began = performance.now();
    const seconds = () => (performance.now() - began) / 1000;
    let noted = "switched on";
    const note = (text: string) => {
      noted = text;
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
      const reason = await firstAnswer(keeper, machine, check, { signal: ending, note });
      return { machine: shownMachine(machine), answer: { seconds: seconds(), reason } };
    } catch (error) {
      signal.throwIfAborted();
      if (!limit.aborted) throw error;
      throw new MachineSilentError(machine.name, `nothing within ${timeoutSeconds} s; last: ${noted}`);
    } finally {
      clearInterval(timer);
    }
  };
}

/** Returns what the answer was. Rejects with the signal's reason. */
async function firstAnswer(
  keeper: MachineKeeper,
  machine: KeptMachine,
  check: CommandInput<"bring-up-machine">["check"],
  wait: Wait,
): Promise<string> {
  const wasOn = (await keeper.power(machine)) === "on";
  if (check.kind === "tcp" && !wasOn) await requireSilence(check);
  await keeper.start(machine);
  return check.kind === "console"
    ? answerOnConsole(keeper, machine, { expected: check.expect, wasOn, wait })
    : answerOnPort(check, wait);
}

async function answerOnConsole(
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

async function answerOnPort(
  { host, port }: Extract<AnswerCheck, { kind: "tcp" }>,
  { signal, note }: Wait,
): Promise<string> {
  for (;;) {
    signal.throwIfAborted();
    const refusal = await refusalOf(host, port);
    if (refusal === undefined) return `${host} accepts connections on port ${port}`;
    note(`port ${port} of ${host}: ${refusal}`);
    await sleep(CONNECT_AGAIN_MS, undefined, { signal });
  }
}

/** What answers before the machine is on is not the machine. */
async function requireSilence({ host, port }: Extract<AnswerCheck, { kind: "tcp" }>): Promise<void> {
  if ((await refusalOf(host, port)) === undefined) throw new AddressInUseError(host, port);
}

/** Why no connection can be opened; `undefined` if one was. */
function refusalOf(host: string, port: number): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = connect({ host, port, timeout: CONNECT_LIMIT_MS });
  socket.once("connect", () => resolve(undefined));
  socket.once("timeout", () => resolve("no answer"));
  socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  return promise.finally(() => socket.destroy());
}
