import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import {
  approved,
  type EnrolmentRequestRecord,
  MOST_PENDING,
  mayBeAdded,
  newCode,
  REQUEST_LIFETIME_MS,
  requestOf,
  stateOf,
} from "#shared/domain/enrolment-request.ts";
import { newId } from "#shared/domain/id.ts";
import type { Environment } from "#shared/environment.ts";
import { NotFoundError, TooManyEnrolmentRequestsError, WrongStateError } from "#shared/errors.ts";
import { POLL_SECONDS, shownCode } from "#shared/protocol/enrolment-request.ts";
import { timestamp } from "../conversion/deps.ts";
import { actorName } from "../middleware/api-event.ts";
import { type Answer, apiHandler, type Call } from "../middleware/api-handler.ts";
import type { Runtime } from "../middleware/runtime.ts";
import type { Clock, Random } from "../ports.ts";
import { sha256OfText } from "../store/sha256.ts";
import { openStore, type Store } from "../store/store.ts";

export const handler = apiHandler({
  name: "api/enrolment-requests",
  build: ({ TABLE_NAME }: Environment<"api/enrolment-requests">, { clock, random }: Runtime): Deps => ({
    store: openStore(new DynamoDBClient(), TABLE_NAME, random),
    clock,
    random,
  }),
  operations: { requestEnrolment, listEnrolmentRequests, approveEnrolment },
});

interface Deps {
  store: Store;
  clock: Clock;
  random: Random;
}

/** At most a few thousand of 20^8 codes are taken, so even a second draw is very rare. */
const MOST_DRAWS = 4;

/**
 * Returns a code for the machine's screen and a secret for the machine. Anyone can ask, so the number of
 * pending requests is limited. The limit is not exact, because the index that counts them is eventually
 * consistent. Throws `TooManyEnrolmentRequestsError`.
 */
export async function requestEnrolment(
  { body, address }: Call<"requestEnrolment">,
  deps: Deps,
): Promise<Answer<"requestEnrolment">> {
  const { store, clock, random } = deps;
  const { csr, ...machine } = body;
  const nowMs = clock.now();
  if (!mayBeAdded(await newestPending(deps), address)) {
    await auditFlood(address, deps);
    throw new TooManyEnrolmentRequestsError();
  }
  const id = newId("enr", nowMs, random(10));
  const secret = Buffer.from(random(32)).toString("base64url");
  const expiresAt = new Date(nowMs + REQUEST_LIFETIME_MS).toISOString();
  const code = await addWithCode(
    {
      ...{ id, address, csr, machine },
      secretHash: sha256OfText(secret),
      createdAt: timestamp(clock),
      validUntil: expiresAt,
      version: 0,
    },
    deps,
  );
  await store.audit.addExpiring({
    at: timestamp(clock),
    actor: "anyone",
    action: "enrolment-requested",
    subject: id,
    outcome: "done",
    details: { name: machine.name, macAddresses: machine.macAddresses, address },
  });
  return { id, code: shownCode(code), secret, expiresAt, pollSeconds: POLL_SECONDS };
}

export async function listEnrolmentRequests(
  { query }: Call<"listEnrolmentRequests">,
  { store, clock }: Deps,
): Promise<Answer<"listEnrolmentRequests">> {
  const page = await store.enrolmentRequests.page(query);
  const nowMs = clock.now();
  const pending = page.items.filter((request) => stateOf(request, nowMs) === "pending");
  // Newest first, and all have the same lifetime, so everything after an expired one has expired.
  const cursor = pending.length < page.items.length ? null : page.cursor;
  return { items: pending.map((request) => requestOf(request, nowMs)), cursor };
}

/**
 * Throws `NotFoundError` for a code that no machine has, and `WrongStateError` for one that was already
 * approved or has expired.
 */
export async function approveEnrolment(
  { body, actor }: Call<"approveEnrolment">,
  deps: Deps,
): Promise<Answer<"approveEnrolment">> {
  const { store, clock, random } = deps;
  const by = actorName(actor);
  const found = await store.enrolmentRequests.findByCode(sha256OfText(body.code));
  if (!found) {
    await auditRefusal(UNKNOWN_CODE, by, "no machine shows this code", deps);
    throw new NotFoundError("machine with the code", shownCode(body.code));
  }
  const approval = { sourceId: newId("agt", clock.now(), random(10)), by };
  try {
    const request = await store.enrolmentRequests.modify(found.id, (current = found) =>
      approved(current, approval, clock.now()),
    );
    const { id, machine, address } = request;
    await store.audit.add({
      at: timestamp(clock),
      actor: by,
      action: "enrolment-approved",
      subject: id,
      outcome: "done",
      details: { sourceId: approval.sourceId, name: machine.name, address },
    });
    return requestOf(request, clock.now());
  } catch (error) {
    if (error instanceof WrongStateError) await auditRefusal(found.id, by, error.message, deps);
    throw error;
  }
}

/** Stores the request with a code that no other request has, and returns the code. */
async function addWithCode(
  request: Omit<EnrolmentRequestRecord, "codeHash">,
  { store, random }: Deps,
): Promise<string> {
  for (let drawn = 0; drawn < MOST_DRAWS; drawn++) {
    const code = newCode(random);
    if (await store.enrolmentRequests.add({ ...request, codeHash: sha256OfText(code) })) return code;
  }
  throw new Error(`${MOST_DRAWS} random codes were all taken`);
}

async function newestPending({ store, clock }: Deps): Promise<EnrolmentRequestRecord[]> {
  const { items } = await store.enrolmentRequests.page({ limit: MOST_PENDING });
  return items.filter((request) => stateOf(request, clock.now()) === "pending");
}

async function auditFlood(address: string, { store, clock }: Deps): Promise<void> {
  const reason = "too many machines are waiting for approval";
  await store.audit.addHourly(
    {
      at: timestamp(clock),
      actor: "anyone",
      action: "enrolment-request-refused",
      subject: address,
      outcome: "refused",
      details: { reason },
    },
    reason,
  );
}

const UNKNOWN_CODE = "unknown-code";

async function auditRefusal(
  subject: string,
  actor: string,
  reason: string,
  { store, clock }: Deps,
): Promise<void> {
  await store.audit.addHourly(
    {
      at: timestamp(clock),
      actor,
      action: "enrolment-approval-refused",
      subject,
      outcome: "refused",
      details: { reason },
    },
    subject === UNKNOWN_CODE ? subject : "known-code",
  );
}
