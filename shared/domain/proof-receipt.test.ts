import { beforeAll, expect, test } from "vitest";
import { agentSignature } from "../protocol/agent-signature.ts";
import { type HashedFiles, ProofReceipt } from "../protocol/proof.ts";
import { type AgentKey, createAgentKey } from "../protocol/testing/agent-key.ts";
import { findProofReceiptProblem, type ProvedFacts, signProofReceipt } from "./proof-receipt.ts";

const LEFT_OUT = Array.from({ length: 12 }, (_, at) => ({ place: `/mnt/${at}`, why: "it is vfat" }));
const hashed: HashedFiles = {
  ...{ list: "a".repeat(64), files: 2, bytes: 20, found: 3, foundAll: true, changed: 1, unreadable: 0 },
  ...{ leftOut: LEFT_OUT, seconds: 1.5, agentVersion: "1.2.3" },
};
const facts: ProvedFacts = {
  ...{ ownerId: "cut_1", sourceId: "agt_source", pointId: "rp_1", agentId: "agt_target", hashed },
  frozenFrom: "2030-01-01T00:00:00.000Z",
  compared: { equal: 2, bytes: 20, moved: 0, different: 0, differences: [], unopened: [], seconds: 9 },
};
const work = {
  ...{ agentVersion: "1.2.3", bootImageId: "b".repeat(64), comparedAt: "2030-01-01T00:05:00.000Z" },
};

let agent: AgentKey;
beforeAll(async () => {
  agent = await createAgentKey();
});

test("a receipt is still valid after a transfer, names the first of what was left out, and is small", () => {
  const receipt = signProofReceipt(facts, work, agent);
  const travelled = ProofReceipt.parse(JSON.parse(JSON.stringify(receipt)));
  expect(findProofReceiptProblem(travelled, agent.certificatePem)).toBeUndefined();
  expect(travelled.content).toMatchObject({ ...work, outcome: "equal", frozenFrom: facts.frozenFrom });
  expect(travelled.content.hashed.leftOut).toEqual(LEFT_OUT.slice(0, 10));
});

test("a receipt of a source in its boot environment has no instant; one that has both, or neither, is none", () => {
  const { frozenFrom, ...others } = facts;
  const there = { ...hashed, system: "boot-environment" as const, unopened: LEFT_OUT };
  const receipt = signProofReceipt({ ...others, hashed: there }, work, agent);
  expect(receipt.content).not.toHaveProperty("frozenFrom");
  expect(receipt.content).toMatchObject({ outcome: "unknown", reason: expect.stringContaining("/mnt/0") });
  expect(receipt.content.hashed.unopened).toHaveLength(10);
  expect(findProofReceiptProblem(receipt, agent.certificatePem)).toBeUndefined();
  const { content } = receipt;
  expect(ProofReceipt.safeParse({ ...receipt, content: { ...content, frozenFrom } }).success).toBe(false);
  expect(() => signProofReceipt(others, work, agent)).toThrow("it is of an instant, or of a source");
});

test("what could not be compared makes the signed outcome unknown, with the reason", () => {
  const compared = { ...facts.compared, equal: 1, moved: 1 };
  const { content } = signProofReceipt({ ...facts, compared }, work, agent);
  expect(content).toMatchObject({ outcome: "unknown", reason: expect.stringContaining("1 of 2 files") });
});

test.each<[string, (receipt: ProofReceipt) => unknown]>([
  ["another owner", ({ content }) => Object.assign(content, { ownerId: "cut_2" })],
  ["another instant", ({ content }) => Object.assign(content, { frozenFrom: "2030-01-01T00:00:01.000Z" })],
  ["another boot image", ({ content }) => Object.assign(content, { bootImageId: "c".repeat(64) })],
  ["more bytes", ({ content }) => Object.assign(content.compared, { bytes: 21 })],
])("a receipt with %s is not believed", (_, change) => {
  const receipt = signProofReceipt(facts, work, agent);
  change(receipt);
  expect(findProofReceiptProblem(receipt, agent.certificatePem)).toBe(
    "its signature does not match its content",
  );
});

test("a receipt that was signed with an outcome that does not follow is not believed", () => {
  const { content } = signProofReceipt(facts, work, agent);
  const lying = { ...content, compared: { ...content.compared, equal: 1 } };
  const receipt = { content: lying, signature: agentSignature(lying, agent.keyPem, agent.certificatePem) };
  expect(findProofReceiptProblem(receipt, agent.certificatePem)).toContain("contradicts");
});

/** By an agent that did not yet say which version had read the source's files. */
const FIRST = {
  certificatePem: [
    "-----BEGIN CERTIFICATE-----",
    "MIIBADCBp6ADAgECAhEApk1llBGeRRyqlVl0MVu4tzAKBggqhkjOPQQDAjAAMB4X",
    "DTI2MTEzMDE0MjQ0OFoXDTI3MTEzMDE0MjQ0OFowADBZMBMGByqGSM49AgEGCCqG",
    "SM49AwEHA0IABP6sKicX5wESxH33Hxy94B6x6XtScN8hOHVO0kD/NUjEp8p5ygPa",
    "j4Z98sazEofMdd/gkr6NGLmu+F77+muZf0ijAjAAMAoGCCqGSM49BAMCA0gAMEUC",
    "IQDNlBU9Vb20KG9gOIeKoCjMie6SijnBfeuw9L7z/5YXUwIgTRvflCI15LDeFMai",
    "nl2Etm5p8Z8JWp09wCJYCD/H7X0=",
    "-----END CERTIFICATE-----",
  ].join("\n"),
  receipt: {
    content: {
      ...{ format: 1, ownerId: "drl_1", sourceId: "agt_1", pointId: "rp_1", agentId: "agt_2" },
      ...{ frozenFrom: "2026-11-30T12:00:00.000Z", comparedAt: "2026-11-30T12:05:00.000Z" },
      ...{ agentVersion: "0.9.0", bootImageId: "b".repeat(64), outcome: "different" },
      hashed: {
        ...{ list: "a".repeat(64), files: 3, bytes: 30, found: 5, foundAll: false, changed: 1 },
        ...{ unreadable: 1, leftOut: [{ place: "/boot/efi", why: "vfat is not compared" }], seconds: 1.5 },
      },
      compared: {
        ...{ equal: 1, bytes: 10, moved: 0, different: 1, seconds: 9 },
        differences: [{ fileSystem: "aa-1", path: "/etc/hosts", what: "content" }],
        unopened: [{ fileSystem: "bb-2", files: 1, why: "bad magic" }],
      },
    },
    signature: {
      algorithm: "ECDSA-P256-SHA256",
      valueBase64: "4a8lsMbY5m+20zZsQ0nQAWoxaLztJkwN0Xj76cnMWF9ATCs2cyuukx3Cqq2cHkN2VFEfgPU1D+rscKn4tE6biA==",
      certificateSha256: "316e47199217d547674f188f7718158cbc98a38b75c6d53c95f0352ac881ae1f",
    },
  },
};

test("a receipt that an agent has signed in the first format stays valid", () => {
  expect(findProofReceiptProblem(ProofReceipt.parse(FIRST.receipt), FIRST.certificatePem)).toBeUndefined();
});
