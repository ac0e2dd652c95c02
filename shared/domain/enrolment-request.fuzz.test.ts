import fc from "fast-check";
import { expect, test } from "vitest";
import { EnrolmentClaimRefusedError, WrongStateError } from "../errors.ts";
import { EnrolmentCode, shownCode } from "../protocol/enrolment-request.ts";
import {
  approved,
  claimed,
  type EnrolmentRequestRecord,
  isClaimed,
  newCode,
  REQUEST_LIFETIME_MS,
  stateOf,
} from "./enrolment-request.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

test("every code survives being shown and typed, in small letters, with spaces or without its dash", () => {
  const typings = [
    (code: string) => code,
    (code: string) => code.replace("-", ""),
    (code: string) => ` ${code.toLowerCase().replace("-", " - ")} `,
  ];
  fc.assert(
    fc.property(fc.infiniteStream(bytes(8)), fc.constantFrom(...typings), (stream, type) => {
      const code = newCode((length) => (stream.next().value as Uint8Array).subarray(0, length));
      expect(EnrolmentCode.parse(type(shownCode(code)))).toBe(code);
    }),
  );
});

test("whatever bytes come, each letter of a code is as likely as any other", () => {
  const counts = new Map<string, number>();
  let next = 0;
  // Every byte value equally often.
  const random = (length: number) => Uint8Array.from({ length }, () => next++ % 256);
  for (let drawn = 0; drawn < 240; drawn++)
    for (const letter of newCode(random)) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  expect(counts.size).toBe(20);
  expect(new Set(counts.values()).size).toBe(1);
});

const START_MS = Date.UTC(2030, 0, 1);
const fresh: EnrolmentRequestRecord = {
  id: "enr_1",
  codeHash: "code",
  secretHash: "secret",
  csr: "csr",
  machine: { name: "pine", macAddresses: [], disks: [] },
  address: "192.0.2.1",
  createdAt: new Date(START_MS).toISOString(),
  validUntil: new Date(START_MS + REQUEST_LIFETIME_MS).toISOString(),
  version: 1,
};

type Deed = { what: "approve"; by: string } | { what: "claim"; secret: string };
const deed = fc.record({
  afterMs: fc.integer({ min: 0, max: REQUEST_LIFETIME_MS }),
  deed: fc.oneof(
    fc.record({ what: fc.constant("approve" as const), by: fc.constantFrom("ada", "grace") }),
    fc.record({ what: fc.constant("claim" as const), secret: fc.constantFrom("secret", "guess") }),
  ),
});

function apply(request: EnrolmentRequestRecord, done: Deed, nowMs: number): EnrolmentRequestRecord {
  try {
    return done.what === "approve"
      ? approved(request, { sourceId: `agt_${nowMs}`, by: done.by }, nowMs)
      : claimed(request, done.secret, nowMs);
  } catch (error) {
    if (error instanceof WrongStateError || error instanceof EnrolmentClaimRefusedError) return request;
    throw error;
  }
}

test("in any order of attempts, a request is approved once, and then claimed once, by its own secret", () => {
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 12 }), (deeds) => {
      let request = fresh;
      let nowMs = START_MS;
      for (const { afterMs, deed: done } of deeds) {
        nowMs += afterMs;
        const before = { request, state: stateOf(request, nowMs) };
        request = apply(request, done, nowMs);
        if (before.request.approval) expect(request.approval).toEqual(before.request.approval);
        if (before.request.claim) expect(request).toBe(before.request);
        if (request !== before.request) {
          const expected = done.what === "approve" ? "pending" : "approved";
          expect(before.state).toBe(expected);
          if (done.what === "claim") expect(done.secret).toBe("secret");
        }
        if (isClaimed(request)) expect(request.claim.at >= request.approval.at).toBe(true);
      }
    }),
  );
});
