/** Map and Parallel: states that run branches inside. */
import type { MapState, ParallelState, Processor } from "../definition.ts";
import { checkSize, QueryEvaluationFailure } from "../failure.ts";
import { finishGroupIfDone, groupOf, iteration, newBranch } from "../flow.ts";
import { type Cursor, type Slot, startableSlot } from "../frames.ts";
import type { Transition } from "../transition.ts";
import { evaluateWhole } from "./values.ts";

/** AWS runs no more iterations of an inline Map at once. */
const MAX_CONCURRENCY = 40;

export async function runParallel(t: Transition, cursor: Cursor, state: ParallelState): Promise<void> {
  const { branch } = cursor;
  const { activity } = branch;
  const input =
    state.Arguments === undefined ? activity.input : await t.evaluate(cursor, state.Arguments, "Arguments");
  checkSize(input, `the arguments of the state ${activity.state}`);
  t.record(branch, { type: "ParallelStateStarted" });
  const slots = state.Branches.map((inner): Slot => start(t, cursor, inner, input));
  activity.progress = { kind: "group", slots, concurrency: slots.length };
}

export async function runMap(t: Transition, cursor: Cursor, state: MapState): Promise<void> {
  const { branch } = cursor;
  const { activity } = branch;
  const items = state.Items === undefined ? activity.input : await t.evaluate(cursor, state.Items, "Items");
  if (!Array.isArray(items)) throw new QueryEvaluationFailure("Items", "Items must give an array");
  const limit = await evaluateWhole(t, cursor, state.MaxConcurrency ?? 0, "MaxConcurrency", 0, 10_000);
  t.record(branch, { type: "MapStateStarted", mapStateStartedEventDetails: { length: items.length } });
  activity.progress = {
    kind: "group",
    slots: items.map((): Slot => ({ status: "pending" })),
    concurrency: Math.min(limit || MAX_CONCURRENCY, MAX_CONCURRENCY),
    items,
  };
  if (items.length === 0) await finishGroupIfDone(t, cursor);
}

/** Starts the next iteration of a Map that has room for one. */
export async function startIteration(t: Transition, cursor: Cursor, state: MapState): Promise<void> {
  const group = groupOf(cursor);
  const index = startableSlot(group);
  if (index === undefined) return;
  const item = { index, value: group.items?.[index] };
  const input =
    state.ItemSelector === undefined
      ? item.value
      : await t.evaluate(cursor, state.ItemSelector, "ItemSelector", { item });
  checkSize(input, `the input of iteration ${index}`);
  const slot = start(t, cursor, state.ItemProcessor, input);
  slot.branch.item = item;
  group.slots[index] = slot;
  const details = iteration(cursor, index);
  t.record(slot.branch, { type: "MapIterationStarted", mapIterationStartedEventDetails: details });
}

function start(t: Transition, cursor: Cursor, processor: Processor, input: unknown) {
  return { status: "running" as const, branch: newBranch(t, processor.StartAt, input, cursor.branch) };
}
