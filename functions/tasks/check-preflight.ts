import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import * as z from "zod";
import { referenceTo } from "#shared/domain/boot-image.ts";
import { type ConversionRecord, preflightPassed, requireRunning } from "#shared/domain/conversion.ts";
import { type PreflightFinding, preflightFindings } from "#shared/domain/preflight.ts";
import { PreflightFailedError } from "#shared/errors.ts";
import type { Log } from "#shared/log.ts";
import type { BootImageReference } from "#shared/protocol/boot-image.ts";
import { ConversionId } from "#shared/protocol/ids.ts";
import { usableBootImage } from "../conversion/boot-image.ts";
import { timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import type { Clock } from "../ports.ts";
import { openStore, type Store } from "../store/store.ts";

export const Input = z.object({ conversionId: ConversionId });

export const handler = taskHandler({
  name: "tasks/check-preflight",
  input: Input,
  build: ({ TABLE_NAME }, { clock, random, log }): Deps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
    clock,
    log,
  }),
  run,
});

interface Deps {
  store: Store;
  clock: Clock;
  log: Log;
}

/**
 * Checks the preflight rules against the agents' last reports. Throws `PreflightFailedError` with every
 * failed rule. Returns the warnings, and the boot image if the conversion uses one.
 */
export async function run(
  { conversionId }: z.output<typeof Input>,
  { store, clock, log }: Deps,
): Promise<{ warnings: PreflightFinding[]; bootImage?: BootImageReference }> {
  const conversion = requireRunning(await store.conversions.get(conversionId));
  const [source, target] = await Promise.all([
    store.agents.get(conversion.sourceId),
    store.agents.get(conversion.targetId),
  ]);
  const bootImage = await usableBootImage(conversion, store);
  const findings = preflightFindings({ conversion, source, target, bootImage });
  const failures = findings.filter(({ severity }) => severity === "fail");
  if (failures.length > 0) throw new PreflightFailedError(failures);
  for (const { id, message, remedy, acceptedBy } of findings) {
    log.warn(message, { conversionId, rule: id, remedy, acceptedBy });
  }
  await auditAccepted(conversion, findings, store);
  await store.conversions.modify(conversionId, (current) =>
    preflightPassed(current, { now: timestamp(clock), inventory: source.inventory }),
  );
  return { warnings: findings, ...(bootImage ? { bootImage: referenceTo(bootImage) } : {}) };
}

/** Uses the time of the conversion's start, so that a repeated step adds only one entry. */
async function auditAccepted(
  { id, createdAt, requestedBy }: ConversionRecord,
  findings: readonly PreflightFinding[],
  store: Store,
): Promise<void> {
  const accepted = findings.filter(({ acceptedBy }) => acceptedBy !== undefined);
  if (accepted.length === 0) return;
  await store.audit.addOnce({
    at: createdAt,
    actor: requestedBy,
    action: "rules-accepted",
    subject: id,
    outcome: "done",
    details: { rules: accepted.map(({ id: rule, message }) => ({ rule, message })) },
  });
}
