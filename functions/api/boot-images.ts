import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";
import { STSClient } from "@aws-sdk/client-sts";
import {
  type BootImageRecord,
  completedImage,
  newBootImage,
  objectsOf,
  shownBootImage,
} from "#shared/domain/boot-image.ts";
import type { Environment } from "#shared/environment.ts";
import { InvalidInputError, NotFoundError, WrongStateError } from "#shared/errors.ts";
import { BootImageManifest, bootImageKey } from "#shared/protocol/boot-image.ts";
import { S3Bucket } from "../aws/s3-bucket.ts";
import { StsBootImageBroker } from "../aws/sts-boot-image-broker.ts";
import { timestamp } from "../conversion/deps.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import { validate } from "../middleware/validate.ts";
import type { BootImageBroker, Bucket, Clock } from "../ports.ts";
import { openStore, type Store } from "../store/store.ts";

export const handler = apiHandler({
  name: "api/boot-images",
  build: (env: Environment<"api/boot-images">, { clock, random, region, awsEndpoint }: Runtime): Deps => ({
    store: openStore(new DynamoDBClient(), env.TABLE_NAME, random),
    uploads: new StsBootImageBroker({
      client: new STSClient(),
      roleArn: env.BOOT_IMAGE_UPLOAD_ROLE_ARN,
      bucket: env.BUCKET_NAME,
    }),
    objects: new S3Bucket(new S3Client({ forcePathStyle: awsEndpoint !== undefined }), env.BUCKET_NAME),
    clock,
    bucket: env.BUCKET_NAME,
    region,
    awsEndpoint,
  }),
  operations: { addBootImage, completeBootImage, listBootImages },
});

interface Deps {
  store: Store;
  uploads: BootImageBroker;
  objects: Bucket;
  clock: Clock;
  bucket: string;
  region: string;
  awsEndpoint: string | undefined;
}

/**
 * Registers the image and returns credentials to upload its files. Repeating it lets an interrupted upload
 * continue. Throws `InvalidInputError` if the signature is wrong.
 */
export async function addBootImage(
  { body, actor }: Call<"addBootImage">,
  deps: Deps,
): Promise<Answer<"addBootImage">> {
  const { store, clock, bucket, region, awsEndpoint } = deps;
  const bytes = Buffer.from(body.manifest, "utf8");
  const manifest = validate(BootImageManifest, jsonIn(body.manifest), "manifest");
  const key = publicKeyIn(body.publicKeyPem);
  if (!verify(null, bytes, key, Buffer.from(body.signatureBase64, "base64")))
    throw new InvalidInputError([
      { path: "signatureBase64", message: "is not this key's signature of this manifest" },
    ]);
  const createdBy = actorName(actor);
  const image = await store.bootImages.add(
    newBootImage(manifest, {
      id: sha256(bytes),
      manifestBytes: bytes.length,
      signatureBase64: body.signatureBase64,
      publicKeyPem: key.export({ type: "spki", format: "pem" }).toString(),
      signedBy: sha256(key.export({ type: "spki", format: "der" })),
      createdBy,
      createdAt: timestamp(clock),
    }),
  );
  if (image.state === "complete")
    throw new WrongStateError(
      `boot image ${image.id} is already complete`,
      "There is nothing left to upload.",
    );
  const credentials = await deps.uploads.grant(image.id, createdBy);
  await audit("boot-image-added", createdBy, image, deps);
  return {
    image: shownBootImage(image),
    bucket,
    prefix: bootImageKey(image.id, ""),
    region,
    ...(awsEndpoint ? { endpoint: awsEndpoint } : {}),
    credentials,
  };
}

/**
 * Marks the image complete, so that conversions use it, if every object matches the manifest. Repeating it
 * changes nothing.
 */
export async function completeBootImage(
  { path, actor }: Call<"completeBootImage">,
  deps: Deps,
): Promise<Answer<"completeBootImage">> {
  const { store, objects, clock } = deps;
  const image = await store.bootImages.find(path.id);
  if (!image) throw new NotFoundError("boot image", path.id);
  if (image.state === "complete") return shownBootImage(image);
  const wrong: string[] = [];
  for (const { path: name, key, sizeBytes, sha256: hash } of objectsOf(image)) {
    const found = await objects.describe(key);
    if (!found) wrong.push(`${name} is missing`);
    else if (found.sizeBytes !== sizeBytes || found.sha256 !== hash)
      wrong.push(`${name} has different bytes`);
  }
  if (wrong.length > 0)
    throw new WrongStateError(
      `boot image ${image.id} is not complete: ${wrong.join(", ")}`,
      "Upload it again with `causeway boot-images upload DIR`. A file with different bytes cannot be replaced: build the image " +
        "again with some change, which gives it another id.",
    );
  const done = await store.bootImages.modify(path.id, (current) => completedImage(current, timestamp(clock)));
  await audit("boot-image-completed", actorName(actor), done, deps);
  return shownBootImage(done);
}

export async function listBootImages(
  { query }: Call<"listBootImages">,
  { store }: Deps,
): Promise<Answer<"listBootImages">> {
  const { items, cursor } = await store.bootImages.page(query);
  return { items: items.map(shownBootImage), cursor };
}

function publicKeyIn(pem: string): KeyObject {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === "ed25519") return key;
  } catch {
    // Refused below, like a key of another kind.
  }
  throw new InvalidInputError([{ path: "publicKeyPem", message: "is not an Ed25519 key in PEM" }]);
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidInputError([{ path: "manifest", message: "is not JSON" }]);
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function audit(action: string, actor: string, image: BootImageRecord, deps: Deps): Promise<void> {
  await deps.store.audit.add({
    at: timestamp(deps.clock),
    actor,
    action,
    subject: image.id,
    outcome: "done",
    details: { signedBy: image.signedBy },
  });
}
