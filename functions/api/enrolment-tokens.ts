import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { newId } from "#shared/domain/id.ts";
import type { Environment } from "#shared/environment.ts";
import { timestamp } from "../conversion/deps.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type { Clock, Random } from "../ports.ts";
import { sha256OfText } from "../store/sha256.ts";
import { openStore, type Store } from "../store/store.ts";

export const handler = apiHandler({
  name: "api/enrolment-tokens",
  build: ({ TABLE_NAME }: Environment<"api/enrolment-tokens">, { clock, random }: Runtime): Deps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
    clock,
    random,
  }),
  operations: { createEnrolmentToken },
});

interface Deps {
  store: Store;
  clock: Clock;
  random: Random;
}

/**
 * Creates a token. Only this answer contains it. There is no `Idempotency-Key`, because that would mean
 * storing the token: a caller who lost the answer asks for another token, and the lost one expires unused.
 */
export async function createEnrolmentToken(
  { body, actor }: Call<"createEnrolmentToken">,
  { store, clock, random }: Deps,
): Promise<Answer<"createEnrolmentToken">> {
  const now = clock.now();
  // Without the prefix, one token in 64 would start with a dash, and the command line would read it as an
  // option.
  const token = `enrol_${Buffer.from(random(32)).toString("base64url")}`;
  const id = newId("tok", now, random(10));
  const createdAt = timestamp(clock);
  const expiresAt = new Date(now + body.lifetimeSeconds * 1000).toISOString();
  const createdBy = actorName(actor);
  const { role } = body;
  const hash = sha256OfText(token);
  await store.tokens.add({ id, hash, role, createdAt, validUntil: expiresAt, createdBy, version: 0 });
  await store.audit.add({
    at: createdAt,
    actor: createdBy,
    action: "enrolment-token-created",
    subject: id,
    outcome: "done",
    details: { role, expiresAt },
  });
  return { id, role, token, createdAt, expiresAt };
}
