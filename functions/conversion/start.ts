import { held, released, requireServing } from "#shared/domain/agent.ts";
import { type ConversionRecord, hasEnded, newConversion, workflowInput } from "#shared/domain/conversion.ts";
import { requireConvertible } from "#shared/domain/preflight/system-rules.ts";
import { WrongStateError } from "#shared/errors.ts";
import type { NewConversion } from "#shared/protocol/resources.ts";
import { requireNoCutover } from "../cutover/cutover-under-way.ts";
import type { Clock, Workflow } from "../ports.ts";
import { machineInPlace } from "../recovery/machine-in-place.ts";
import type { Store } from "../store/store.ts";
import { bootImageFor } from "./boot-image.ts";
import { timestamp } from "./deps.ts";
import { staleHolder } from "./stale-holder.ts";

export interface StartDeps {
  store: Store;
  workflow: Workflow;
  clock: Clock;
}

export interface StartIds {
  id: string;
  /** The id of the recovery point to make. */
  pointId: string;
  requestedBy: string;
}

/**
 * Starts a conversion. There is no transaction over the table and the workflow, so the order matters. Each
 * step may be repeated, and after an interruption between any two the next request repairs the state:
 *
 * 1. The source is held for the id. After an interruption here, a conversion that does not exist holds the
 *    source: after two minutes, the next start takes the source over.
 * 2. The conversion is stored. After an interruption here, it shows as running but does nothing. The same
 *    request (by its `Idempotency-Key`) continues from here. Cancelling starts the workflow, whose first step
 *    sees the cancellation and releases the source.
 * 3. The workflow is started under the conversion's id, so a second start is refused.
 */
export async function startConversion(
  request: NewConversion,
  given: StartIds,
  deps: StartDeps,
): Promise<ConversionRecord> {
  const { store, workflow } = deps;
  const existing = await store.conversions.find(given.id);
  const conversion = existing ?? (await admit(request, given, deps));
  if (!hasEnded(conversion)) {
    await workflow.start(conversion.id, workflowInput(conversion));
  }
  await store.audit.addOnce({
    at: conversion.createdAt,
    actor: conversion.requestedBy,
    action: "conversion-started",
    subject: conversion.id,
    outcome: "done",
    details: {
      sourceId: conversion.sourceId,
      targetId: conversion.targetId,
      type: conversion.type,
      ...(conversion.accept.length > 0 ? { accept: conversion.accept } : {}),
    },
  });
  return conversion;
}

/**
 * Steps 1 and 2. Throws `NotFoundError`, `ForbiddenError` or `WrongStateError` if the conversion may not
 * start, and changes nothing in that case.
 */
async function admit(request: NewConversion, given: StartIds, deps: StartDeps): Promise<ConversionRecord> {
  const { store, clock } = deps;
  const { sourceId, targetId } = request;
  requireServing(await store.agents.find(targetId), "target", targetId);
  const found = requireServing(await store.agents.find(sourceId), "source", sourceId);
  requireConvertible(found, request.type);
  await requireNoCutover(found, store);
  const fenced = await machineInPlace(sourceId, deps);
  if (fenced !== undefined)
    throw new WrongStateError(
      fenced,
      `Convert that machine instead. \`causeway lease ${sourceId}\` shows who has the right to run.`,
    );
  const bootImageId = await bootImageFor(request, store);
  const stale = await staleHolder(sourceId, deps);
  const source = await store.agents.modify(sourceId, (current) =>
    held(stale ? released(current, stale) : current, given.id),
  );
  return store.conversions.add(
    newConversion(request, { ...given, source, bootImageId, now: timestamp(clock) }),
  );
}
