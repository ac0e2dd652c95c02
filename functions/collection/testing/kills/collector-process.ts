/**
 * For killed-machine.ts: what a control plane does to a repository. Marks all recovery points but the newest,
 * and collects garbage, until it is done or killed. The first argument is its work as JSON.
 */
import { S3Client } from "@aws-sdk/client-s3";
import { SealedKeys } from "#agent/repository/testing/sealed-keys.ts";
import { pointKey, prunedKey } from "#shared/format/object-keys.ts";
import { S3PruneMarks } from "../../../aws/s3-prune-marks.ts";
import { S3Repository } from "../../../aws/s3-repository.ts";
import type { RepositoryAccess } from "../repository-world.ts";
import { wholeCollection } from "../whole-collection.ts";

export interface CollectorWork {
  access: RepositoryAccess;
  collectionId: string;
  /** How many points stay unmarked. */
  keep: number;
  heldSince: number | undefined;
}

const READS_OF_A_SLICE = 4;

const { access, collectionId, keep, heldSince }: CollectorWork = JSON.parse(process.argv[2] ?? "{}");
const { sourceId, masterKey, aheadMs, bucket, ...connection } = access;
const client = new S3Client({ ...connection, forcePathStyle: true, systemClockOffset: aheadMs });
const objects = new S3Repository(client, bucket);
const marks = new S3PruneMarks(client, bucket);

async function idsUnder(prefix: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const { key } of objects.list(prefix)) ids.push(key.slice(prefix.length));
  return ids.sort();
}

const pruned = await idsUnder(prunedKey(sourceId, ""));
const visible = (await idsUnder(pointKey(sourceId, ""))).filter((id) => !pruned.includes(id));
for (const pointId of visible.slice(0, -keep)) await marks.mark(sourceId, pointId);
let reads = 0;
const keys = new SealedKeys(Buffer.from(masterKey, "hex"));
const { problem } = await wholeCollection(
  { collectionId, sourceId, dryRun: false },
  {
    objects,
    keys: { unwrap: (wrapped, context) => keys.decrypt(wrapped, context) },
    heldSince: async () => heldSince,
    // Several slices, between which it can be killed.
    stop: () => reads++ % READS_OF_A_SLICE === READS_OF_A_SLICE - 1,
  },
);
if (problem !== undefined) throw new Error(problem);
client.destroy();
