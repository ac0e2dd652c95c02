import * as z from "zod";
import { type CutoverRecord, enteredState } from "#shared/domain/cutover/cutover.ts";
import {
  begunLease,
  endingLease,
  grantedLease,
  type LeaseRecord,
  lapsedLease,
  permanentLease,
  returnedLease,
} from "#shared/domain/lease.ts";
import {
  FenceIncompleteError,
  FenceInterruptedError,
  NothingFencedError,
  SourceAgentOutdatedError,
  WindowClosedError,
  WrongStateError,
} from "#shared/errors.ts";
import { type CommandOutput, commandKinds } from "#shared/protocol/commands.ts";
import { CutoverId } from "#shared/protocol/ids.ts";
import { buildCommanding } from "../conversion/build.ts";
import { type CommandDeps, timestamp } from "../conversion/deps.ts";
import { order } from "../conversion/order.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import { changeLease } from "../recovery/change-lease.ts";
import { orderFence } from "../recovery/order-fence.ts";
import { settleReturn } from "../recovery/settle-lease.ts";

const FenceAnswer = commandKinds["set-fence"].output;

export const Input = z.discriminatedUnion("action", [
  /** The source is to be fenced, and nothing runs under the lease yet. */
  z.object({ action: z.literal("begin"), cutoverId: CutoverId }),
  /** The source's agent has answered that its services are stopped: the machine may run by renewals. */
  z.object({ action: z.literal("hold"), cutoverId: CutoverId, fence: FenceAnswer }),
  /** It has answered that they stay down, also after a restart: the machine may run permanently. */
  z.object({ action: z.literal("keep"), cutoverId: CutoverId, fence: FenceAnswer }),
  /** The machine may not run, and the source may as soon as that is sure: at once if the machine `isOff`. */
  z.object({ action: z.literal("give-back"), cutoverId: CutoverId, isOff: z.boolean() }),
]);
type Input = z.output<typeof Input>;

export const handler = taskHandler({
  name: "tasks/move-cutover-lease",
  input: Input,
  build: buildCommanding,
  run,
});

/**
 * Moves the right to run of a cutover's source by one conditional write, after the state of the cutover: so
 * one that is rolled back never keeps the right, and one that keeps it is never rolled back. Repeating it
 * changes nothing. Returns the lease's term, and after how many whole seconds to give it back again: 0 if
 * that is done. Throws `WrongStateError` if another one has the right, `NothingFencedError` or
 * `FenceIncompleteError` if the fence keeps nothing down, or not every service of the source's list,
 * `FenceInterruptedError` unless the source's fence is up for this lease, `SourceAgentOutdatedError` unless
 * it is one that lasts only at the commit, and, unless it is to be given back, `CutoverStoppedError` and
 * `WindowClosedError`.
 */
export async function run(input: Input, deps: CommandDeps): Promise<{ term: number; seconds: number }> {
  const now = timestamp(deps.clock);
  const cutover = await entered(input, deps, now);
  const { id, sourceId } = cutover;
  const by = { actor: "causeway" };
  const moved = await changeLease(
    sourceId,
    (one) => movedLease(one, input, cutover, timestamp(deps.clock)),
    by,
    deps,
  );
  if (input.action === "keep") await orderReceipt(cutover, deps);
  if (input.action !== "give-back") return { term: moved.term, seconds: 0 };
  if (input.isOff && moved.state === "ending" && moved.ownerId === id) await returnNow(cutover, moved, deps);
  return settleReturn(cutover, deps);
}

/** A source that was restarted proves its boot state whenever it starts its own system. */
async function orderReceipt({ id, whereabouts }: CutoverRecord, deps: CommandDeps): Promise<void> {
  if (!whereabouts) return;
  const { record, commands } = await deps.store.cutovers.withCommands(id);
  const { sourceId: agentId, requestedBy } = record;
  const input = { conversionId: id, requestedBy };
  const wanted = { ownerId: id, agentId, kind: "attest-boot-state", round: 1, input, requestedBy } as const;
  await order(wanted, commands, deps);
}

const STATES = { begin: "quiescing", hold: "final-sync", keep: "committing" } as const;

async function entered(input: Input, { store }: CommandDeps, now: string): Promise<CutoverRecord> {
  const { action, cutoverId } = input;
  if (action === "give-back") return store.cutovers.get(cutoverId);
  if (action !== "begin") await requireAllKept(input.fence, cutoverId, store);
  return store.cutovers.modify(cutoverId, (one) => enteredState(one, STATES[action], now));
}

/**
 * What the source's agent is to keep down is what it said before the outage: an answer that leaves one out,
 * for whatever reason, does not say that it is quiet.
 */
async function requireAllKept(
  { isUp, services }: CommandOutput<"set-fence">,
  cutoverId: string,
  store: CommandDeps["store"],
): Promise<void> {
  if (!isUp) return;
  const { sourceId } = await store.cutovers.get(cutoverId);
  if (services.length === 0) throw new NothingFencedError(sourceId);
  const listed = (await store.agents.get(sourceId)).inventory?.fencedServices ?? [];
  const left = listed.filter((service) => !services.includes(service));
  if (left.length === 0) return;
  const why = "the source's agent lists it, and did not say that it is kept down";
  throw new FenceIncompleteError("up", new Map(left.map((service) => [service, why])));
}

/** The command to take the fence down goes first, so that no interruption loses it. */
async function returnNow(
  { id, sourceId }: CutoverRecord,
  { term }: LeaseRecord,
  deps: CommandDeps,
): Promise<void> {
  const now = timestamp(deps.clock);
  await orderFence(id, { term, isUp: false }, deps);
  const change = (one: LeaseRecord) => returnedLease(one, { ownerId: id, isOff: true, now });
  await changeLease(sourceId, change, { actor: "causeway" }, deps);
}

function movedLease(lease: LeaseRecord, input: Input, cutover: CutoverRecord, now: string): LeaseRecord {
  const { id: ownerId, targetId } = cutover;
  switch (input.action) {
    case "begin":
      // One that another recovery or cutover gave back, and that has lapsed since.
      return begunLease(lapsedLease(lease, now), { ownerId, targetId });
    case "hold":
      requireUp(input.fence, lease, { lasting: false });
      return grantedLease(lease, ownerId, "fenced");
    case "keep":
      requireUp(input.fence, lease, { lasting: true });
      requireInTime(lease, cutover, now);
      return permanentLease(lease, ownerId);
    case "give-back":
      return endingLease(lease, ownerId);
  }
}

/** A command to put it up also succeeds if a person at the source broke it, or a later one is known. */
function requireUp(
  { isUp, term, lasting }: CommandOutput<"set-fence">,
  lease: LeaseRecord,
  wanted: { lasting: boolean },
): void {
  if (!isUp || term !== lease.term) throw new FenceInterruptedError();
  // The fence of an older agent, which does not say, always lasts: the copy would be fenced, too.
  if (lasting !== wanted.lasting) throw new SourceAgentOutdatedError(lease.id);
}

/** The commit itself can be late: what was decided before it took its time, and it is repeated. */
function requireInTime(lease: LeaseRecord, cutover: CutoverRecord, now: string): void {
  const { id, targetId, deadlineAt } = cutover;
  if (lease.state !== "held") return;
  if (deadlineAt !== undefined && now >= deadlineAt) throw new WindowClosedError(id, deadlineAt);
  if (lease.expiresAt !== undefined && now < lease.expiresAt) return;
  throw new WrongStateError(
    `the machine of ${id} does not run any more: target host ${targetId} did not ask for more time`,
    `See to target host ${targetId}, then create another cutover.`,
  );
}
