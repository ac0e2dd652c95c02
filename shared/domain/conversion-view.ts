/** A conversion as the API shows it: its steps, derived from its record and commands. */
import { type CommandKind, commandKinds } from "../protocol/commands.ts";
import { conversionTypes, type StepName } from "../protocol/conversion-types.ts";
import type { Conversion, Step } from "../protocol/resources.ts";
import { bringsBack, type CommandRecord, isOpen, latest } from "./command.ts";
import { type ConversionRecord, hasEnded } from "./conversion.ts";
import type { PresenceRecord } from "./presence.ts";

const stepOfKind: Readonly<Partial<Record<CommandKind, StepName>>> = {
  "stage-boot-image": "stage",
  "arm-boot": "arm",
  "report-boot-state": "boot-environment",
  "take-recovery-point": "capture",
  "capture-disk": "capture",
  "commit-recovery-point": "commit",
  "attest-boot-state": "receipt",
  materialise: "materialise",
  verify: "verify",
  "boot-check": "boot-check",
};

/** The step that a command belongs to. Returns `undefined` for housekeeping, which is not shown. */
export function stepOf({ kind, input }: Pick<CommandRecord, "kind" | "input">): StepName | undefined {
  if (kind === "reboot") return input.into === "original" ? "return" : "reboot";
  return stepOfKind[kind];
}

type StepState = Step["state"];

/** The conversion as the API shows it. */
export function conversionOf(record: ConversionRecord, commands: readonly CommandRecord[]): Conversion {
  const { id, type, sourceId, targetId, format, state, recoveryPointId, failure, result } = record;
  const { requestedBy, createdAt, endedAt, whereabouts } = record;
  return {
    id,
    type,
    sourceId,
    targetId,
    format,
    bootCheck: record.bootCheck.enabled,
    state,
    steps: stepsOf(record, commands),
    ...(whereabouts
      ? {
          whereabouts,
          startAt: record.startAt,
          deadlineSeconds: record.deadlineSeconds,
          bootImageId: record.bootImageId,
        }
      : {}),
    recoveryPointId,
    failure,
    result,
    accept: record.accept,
    requestedBy,
    createdAt,
    endedAt,
  };
}

/** The ids of the agents that the conversion is waiting for. */
export function awaitedAgents({ endedAt, steps }: Conversion): string[] {
  if (endedAt) return [];
  return [...new Set(steps.flatMap(({ work }) => work.filter(isAwaited).map(({ agentId }) => agentId)))];
}

/** The conversion, with the time of disconnection on the work of each awaited agent that is disconnected. */
export function withAbsences(
  conversion: Conversion,
  presences: ReadonlyMap<string, PresenceRecord>,
): Conversion {
  const steps = conversion.steps.map((step) => ({
    ...step,
    work: step.work.map((item) => {
      const presence = presences.get(item.agentId);
      const away = isAwaited(item) && presence?.state === "disconnected";
      return away ? { ...item, awaySince: new Date(presence.at).toISOString() } : item;
    }),
  }));
  return { ...conversion, steps };
}

function isAwaited({ state }: Step["work"][number]): boolean {
  return state === "pending" || state === "running";
}

/** The current steps, or those recorded at the end if the conversion has ended. */
export function stepsOf(record: ConversionRecord, commands: readonly CommandRecord[]): Step[] {
  if (record.steps) return record.steps;
  const current = currentRound(commands);
  const shown = conversionTypes[record.type].steps;
  // Where a commit follows, each disk was captured by a command of its own.
  const captures = shown.includes("commit") ? record.disks.length : 1;
  const steps = shown.map((name): Step => {
    if (name === "preflight") return preflightStep(record);
    if (name === "finish") return { name, state: "waiting", work: [] };
    if (name === "boot-check" && !record.bootCheck.enabled) return { name, state: "skipped", work: [] };
    return agentStep(
      name,
      name === "capture" ? captures : 1,
      current.filter((command) => stepOf(command) === name),
    );
  });
  const finish = steps.at(-1);
  const before = steps.slice(0, -1);
  if (finish && before.every(isOver)) {
    finish.state = "running";
    finish.startedAt = before.findLast((step) => step.endedAt)?.endedAt;
  }
  return steps;
}

/** The steps of a conversion that is completing now. */
export function completedSteps(
  record: ConversionRecord,
  commands: readonly CommandRecord[],
  now: string,
): Step[] {
  return stepsOf(record, commands).map((step) =>
    isOver(step) ? step : { ...step, state: "done", endedAt: step.endedAt ?? now },
  );
}

/**
 * The steps of a conversion that is failing or being cancelled now: the first unfinished step is marked so,
 * and those after it are skipped.
 */
export function abandonedSteps(
  record: ConversionRecord,
  commands: readonly CommandRecord[],
  now: string,
): Step[] {
  if (hasEnded(record)) return stepsOf(record, commands);
  const blamed: StepState = record.state === "cancelling" ? "cancelled" : "failed";
  let stopped = false;
  return stepsOf(record, commands).map((step) => {
    if (isOver(step)) return step;
    if (stopped) return { ...step, state: "skipped" };
    stopped = true;
    return { ...step, state: blamed, endedAt: now };
  });
}

function isOver(step: Step): boolean {
  return step.state === "done" || step.state === "skipped";
}

/**
 * When the workflow asks for the same work again, only the new round is shown.
 */
function currentRound(commands: readonly CommandRecord[]): CommandRecord[] {
  const repeatable = (command: CommandRecord) => command.kind === "materialise" || command.kind === "verify";
  const round = Math.max(1, ...commands.filter(repeatable).map((command) => command.round));
  return commands.filter((command) => !repeatable(command) || command.round === round);
}

function preflightStep(record: ConversionRecord): Step {
  const { createdAt: startedAt, preflightPassedAt: endedAt } = record;
  return { name: "preflight", state: endedAt ? "done" : "running", startedAt, endedAt, work: [] };
}

/** A step of `size` pieces of work. The last try of each piece decides whether it is done. */
function agentStep(name: StepName, size: number, tries: readonly CommandRecord[]): Step {
  if (tries.length === 0) return { name, state: "waiting", work: [] };
  const pieces = [...Map.groupBy(tries, (one) => one.label).values()]
    .map(latest)
    .filter((one) => one !== undefined);
  const done = pieces.length >= size && pieces.every(achieved);
  const ends = pieces.map((one) => one.endedAt ?? "").sort();
  return {
    name,
    state: done ? "done" : "running",
    // The step includes the wait for the machine to report.
    startedAt: tries.map((one) => one.issuedAt).sort()[0],
    endedAt: done ? ends.at(-1) : undefined,
    work: pieces.map(({ id, agentId, label, state, progress }) => ({
      commandId: id,
      agentId,
      disk: name === "capture" ? label : undefined,
      state,
      progress,
    })),
  };
}

/** A boot check whose clone does not boot succeeds as a command, but not as a step. */
function achieved({ state, kind, output }: CommandRecord): boolean {
  if (state !== "succeeded" || kind !== "boot-check") return state === "succeeded";
  const found = commandKinds[kind].output.safeParse(output);
  return found.data?.verdict !== "not-booted";
}

/** The commands that an agent may still be working on and that end with the conversion. */
export function openCommands(commands: readonly CommandRecord[]): CommandRecord[] {
  return commands.filter(
    (command) => isOpen(command) && stepOf(command) !== undefined && !bringsBack(command),
  );
}
