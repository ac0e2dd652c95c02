import { expect, test } from "vitest";
import type { ComparedFiles, HashedFiles } from "../protocol/proof.ts";
import { judgedProof, type ProofFacts, pointProofOf } from "./proof.ts";

const hashed: HashedFiles = {
  ...{ list: "a".repeat(64), files: 3, bytes: 30, found: 9, foundAll: true, changed: 6, unreadable: 0 },
  ...{ leftOut: [], seconds: 1 },
};
const compared: ComparedFiles = {
  ...{ equal: 3, bytes: 30, moved: 0, different: 0, differences: [], unopened: [], seconds: 2 },
};
const failure = { name: "GuestSilentError", message: "no answer", hint: "", retryable: true };
const judged = (facts: ProofFacts) =>
  judgedProof(facts, { pointId: "rp_1", now: "2030-01-01T00:00:00.000Z" });

test("a clone of which every listed file is equal is equal, and the point's record says how many", () => {
  const proof = judged({ hashed, compared });
  expect(proof).toMatchObject({ outcome: "equal", pointId: "rp_1", hashed, compared });
  expect(pointProofOf(proof, "rcv_1")).toEqual({
    ...{ ownerId: "rcv_1", outcome: "equal", files: 3, bytes: 30, at: "2030-01-01T00:00:00.000Z" },
  });
});

test.each<[string, ProofFacts, RegExp]>([
  ["neither side answered", { failure }, /GuestSilentError: no answer/],
  ["only the source answered", { hashed, failure }, /no answer/],
  ["the point has no instant", {}, /not frozen/],
  ["everything has changed since", { hashed: { ...hashed, list: undefined, files: 0 } }, /no file/],
  [
    "the list is empty",
    { hashed: { ...hashed, files: 0, bytes: 0 }, compared: { ...compared, equal: 0, bytes: 0 } },
    /no file/,
  ],
  [
    "a file system could not be opened",
    { hashed, compared: { ...compared, unopened: [{ fileSystem: "a", files: 1, why: "bad magic" }] } },
    /bad magic/,
  ],
  [
    "the boot environment could not open a file system",
    { hashed: { ...hashed, unopened: [{ place: "/dev/sda2", why: "its journal is not empty" }] }, compared },
    /\/dev\/sda2: its journal/,
  ],
  ["fewer files were compared than listed", { hashed, compared: { ...compared, equal: 2 } }, /2 of 3/],
  ["a file may have been moved", { hashed, compared: { ...compared, equal: 2, moved: 1 } }, /1 of 3 .*moved/],
  ["more files were compared than listed", { hashed, compared: { ...compared, equal: 4 } }, /4 of 3/],
])("if %s, it is unknown, and why", (_, facts, reason) => {
  expect(judged(facts)).toMatchObject({ outcome: "unknown", reason: expect.stringMatching(reason) });
});

test("a difference counts, whatever is missing besides", () => {
  const different = {
    ...compared,
    equal: 1,
    different: 1,
    unopened: [{ fileSystem: "a", files: 1, why: "x" }],
  };
  expect(judged({ hashed, compared: different, failure })).toMatchObject({ outcome: "different" });
  expect(judged({ hashed, compared: different }).reason).toBeUndefined();
});
