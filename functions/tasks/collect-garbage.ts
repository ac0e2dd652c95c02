import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { KMSClient } from "@aws-sdk/client-kms";
import { S3Client } from "@aws-sdk/client-s3";
import * as z from "zod";
import { WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import { ResourceId } from "#shared/protocol/ids.ts";
import type { CollectionResult } from "#shared/protocol/resources.ts";
import { KmsDataKeys } from "../aws/kms-data-keys.ts";
import { S3Repository } from "../aws/s3-repository.ts";
import { type CollectDeps, type Collected, collectSlice } from "../collection/collect.ts";
import { heldSince } from "../collection/held-since.ts";
import { timestamp } from "../conversion/deps.ts";
import { taskHandler } from "../middleware/task-handler.ts";
import type { Clock } from "../ports.ts";
import { openStore, type Store } from "../store/store.ts";

/** After this the slice ends. The function may run for 15 minutes, and lists and deletes after the mark. */
const SLICE_MS = 6 * 60_000;

export const Input = z.object({
  collectionId: z.string().min(1).max(128),
  sourceId: ResourceId,
  slice: z.int().nonnegative(),
  dryRun: z.boolean(),
  /** The workflow's error, once it has given this source up. */
  error: WorkflowError.optional(),
});

export const handler = taskHandler({
  name: "tasks/collect-garbage",
  input: Input,
  build: ({ TABLE_NAME, BUCKET_NAME }, { clock, random }): Deps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
    objects: new S3Repository(new S3Client(), BUCKET_NAME),
    keys: new KmsDataKeys(new KMSClient()),
    clock,
  }),
  run,
});

interface Deps extends Pick<CollectDeps, "objects" | "keys"> {
  store: Store;
  clock: Clock;
}

/**
 * Does one slice of collecting a source's garbage; the workflow calls it until it is done. The last slice
 * records the result. Only this function's role may delete objects.
 */
export async function run(
  { collectionId, sourceId, slice, dryRun, error }: z.output<typeof Input>,
  { store, objects, keys, clock }: Deps,
): Promise<{ done: boolean }> {
  const from = clock.now();
  const collected =
    error === undefined
      ? await collectSlice(
          { collectionId, sourceId, number: slice, dryRun },
          {
            objects,
            keys,
            heldSince: (id) => heldSince(id, store),
            stop: () => clock.now() - from > SLICE_MS,
          },
        )
      : givenUp(error);
  if (!collected) return { done: false };
  const result = { sourceId, dryRun, at: timestamp(clock), ...collected };
  await store.collections.add(collectionId, result);
  await audit(collectionId, result, store);
  return { done: true };
}

function givenUp(error: WorkflowError): Collected {
  const { message } = workflowFailure(error);
  return { living: 0, points: 0, packs: 0, bytes: 0, problem: `it did not end: ${message}` };
}

/** Collections that change nothing are not in the audit, except those that found something unexpected. */
async function audit(collectionId: string, result: CollectionResult, store: Store): Promise<void> {
  const { at, sourceId, dryRun, points, packs, bytes, problem } = result;
  if (problem === undefined && (dryRun || points + packs === 0)) return;
  await store.audit.add({
    at,
    actor: "causeway",
    action: problem === undefined ? "garbage-collected" : "garbage-collection-stopped",
    subject: sourceId,
    outcome: problem === undefined ? "done" : "refused",
    details: { collectionId, points, packs, bytes, ...(problem === undefined ? {} : { problem }) },
  });
}
