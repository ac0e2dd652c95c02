/** The alarm that a source could not put its fence up, or take it down. */
import * as z from "zod";
import type { NewAlarm } from "#shared/domain/alarm.ts";
import type { CommandRecord } from "#shared/domain/command.ts";
import type { Failure } from "#shared/errors.ts";
import { type CommandInput, commandKinds } from "#shared/protocol/commands.ts";
import { timestamp } from "../conversion/deps.ts";
import { clearAlarm, type ReportDeps, raiseAlarm } from "./raise.ts";

const KIND = "fence-failed";

const Details = z.object({ term: z.int(), isUp: z.boolean() });
type Wish = z.infer<typeof Details>;

/** A fence that is up and stops nothing, because its source's agent was given no list. */
const STOPS_NOTHING = {
  message: "its agent has no list of services, so its fence stops nothing",
  hint: "Stop the source, or what serves its clients there. To keep that down, start its agent with `--fence-service NAME.service` for each such service. Then clear the alarm.",
};

/**
 * Raises the alarm if this `set-fence` has failed, or stops nothing, and is still what the source should do.
 * Another one that has succeeded clears the alarm of an earlier one. Repeating it is harmless.
 */
export async function reportFence(command: CommandRecord, deps: ReportDeps): Promise<void> {
  const input = commandKinds["set-fence"].input.parse(command.input);
  const failure = command.failure ?? (stopsNothing(command) ? STOPS_NOTHING : undefined);
  if (command.state === "succeeded" && !failure) await clearFenceAlarm(command.agentId, input, deps);
  if (failure && (await isWanted(command.agentId, input, deps))) await raise(command, input, failure, deps);
}

function stopsNothing({ output }: CommandRecord): boolean {
  const fence = commandKinds["set-fence"].output.safeParse(output).data;
  return fence?.isUp === true && fence.services.length === 0;
}

/** Clears the source's alarm if it is about this or about something earlier. Repeating it is harmless. */
export async function clearFenceAlarm(sourceId: string, done: Wish, deps: ReportDeps): Promise<void> {
  const key = { kind: KIND, subject: sourceId } as const;
  const alarm = await deps.store.alarms.find(key);
  if (alarm && placeOf(Details.parse(alarm.details)) <= placeOf(done)) await clearAlarm(key, deps);
}

/** A fence goes up and then down, once in each term. */
function placeOf({ term, isUp }: Wish): number {
  return 2 * term + (isUp ? 0 : 1);
}

/**
 * Events can arrive when the right to run has moved on. Until it is known that the source is off, no machine
 * may run under the lease: a cutover whose source cannot be quieted goes back.
 */
async function isWanted(sourceId: string, { term, isUp }: Wish, { store }: ReportDeps): Promise<boolean> {
  const lease = await store.leases.get(sourceId);
  const mayBeTwo = lease.state !== "none" && lease.sourceOff !== undefined;
  return lease.term === term && (!isUp || mayBeTwo);
}

async function raise(
  { agentId, ownerId }: CommandRecord,
  { term, isUp }: CommandInput<"set-fence">,
  { message, hint }: Pick<Failure, "message" | "hint">,
  deps: ReportDeps,
): Promise<void> {
  const { name } = await deps.store.agents.get(agentId);
  const alarm: NewAlarm = {
    kind: KIND,
    subject: agentId,
    sourceId: agentId,
    sourceName: name,
    since: timestamp(deps.clock),
    cause: isUp
      ? `${name} may serve its clients beside the machine of ${ownerId}, which runs in its place: ${message}.`
      : `${name} has the right to run again, but may not serve its clients: ${message}.`,
    action: hint,
    details: { term, isUp, ownerId } satisfies Wish & { ownerId: string },
  };
  await raiseAlarm(alarm, deps);
}
