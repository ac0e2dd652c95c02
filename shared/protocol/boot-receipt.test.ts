import { generateKeyPairSync } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import { BootReceipt, type BootReceiptContent } from "./boot-receipt.ts";
import { findReceiptProblem, signBootReceipt } from "./boot-receipt-signature.ts";
import { type AgentKey, createAgentKey } from "./testing/agent-key.ts";

const SHA = "ab".repeat(32);
const content: BootReceiptContent = {
  format: 2,
  conversionId: "cnv_1",
  agentId: "agt_source",
  requestedBy: "somebody@example.com",
  loader: "grub",
  savedAt: "2026-03-01T12:00:00.000Z",
  attestedAt: "2026-03-01T12:30:00.000Z",
  bootId: "0b6c9d3e",
  items: [
    {
      kind: "file",
      name: "/boot/grub/grubenv",
      before: { present: true, sha256: SHA, sizeBytes: 1024, mode: 0o644, uid: 0, gid: 0, modifiedNs: "1" },
      after: { present: true, sha256: SHA, sizeBytes: 1024, mode: 0o644, uid: 0, gid: 0, modifiedNs: "1" },
      outcome: "equal",
    },
    {
      kind: "variable",
      name: "BootNext",
      before: { present: false },
      after: { present: false },
      outcome: "equal",
    },
  ],
  outcome: "equal",
};

let agent: AgentKey;
let other: AgentKey;
beforeAll(async () => {
  agent = await createAgentKey();
  other = await createAgentKey();
});

test("a receipt is still valid after a transfer, by the agent's certificate", () => {
  const receipt = signBootReceipt(content, agent.keyPem, agent.certificatePem);
  const travelled = BootReceipt.parse(JSON.parse(JSON.stringify(receipt)));
  expect(findReceiptProblem(travelled, agent.certificatePem)).toBeUndefined();
});

test.each<[string, (receipt: BootReceipt) => unknown]>([
  ["another conversion", ({ content: each }) => Object.assign(each, { conversionId: "cnv_2" })],
  [
    "another hash",
    ({ content: each }) => Object.assign(each.items[0]?.after ?? {}, { sha256: "cd".repeat(32) }),
  ],
  ["one item less", ({ content: each }) => each.items.pop()],
  ["another verdict", ({ content: each }) => Object.assign(each, { outcome: "different" })],
])("a receipt with %s is not believed", (_, change) => {
  const receipt = signBootReceipt(structuredClone(content), agent.keyPem, agent.certificatePem);
  change(receipt);
  expect(findReceiptProblem(receipt, agent.certificatePem)).toBe("its signature does not match its content");
});

test("a receipt of another agent, or signed with another key, is not valid", () => {
  const receipt = signBootReceipt(content, other.keyPem, other.certificatePem);
  expect(findReceiptProblem(receipt, agent.certificatePem)).toContain("another certificate");
  const forged = signBootReceipt(content, other.keyPem, agent.certificatePem);
  expect(findReceiptProblem(forged, agent.certificatePem)).toContain("signature");
});

test("a signed verdict that does not follow from the items is not valid", () => {
  const contradiction = structuredClone(content);
  Object.assign(contradiction.items[0]?.after ?? {}, { sha256: "cd".repeat(32) });
  const receipt = signBootReceipt(contradiction, agent.keyPem, agent.certificatePem);
  expect(findReceiptProblem(receipt, agent.certificatePem)).toContain("its hashes differ");
  const whole = signBootReceipt({ ...content, outcome: "different" }, agent.keyPem, agent.certificatePem);
  expect(findReceiptProblem(whole, agent.certificatePem)).toContain("contradicts its items");
});

test("an item that others changed is neither equal nor different, and a verdict that calls it so is not valid", () => {
  const changed = structuredClone(content);
  Object.assign(changed.items[0]?.after ?? {}, { sha256: "cd".repeat(32) });
  Object.assign(changed.items[0] ?? {}, { outcome: "changed-by-others" });
  const problemOf = (outcome: BootReceiptContent["outcome"]) =>
    findReceiptProblem(
      signBootReceipt({ ...changed, outcome }, agent.keyPem, agent.certificatePem),
      agent.certificatePem,
    );
  expect(problemOf("changed-by-others")).toBeUndefined();
  expect(problemOf("equal")).toContain("contradicts its items");
  expect(problemOf("different")).toContain("contradicts its items");
});

test("a key of another kind cannot sign", () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const keyPem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  expect(() => signBootReceipt(content, keyPem, agent.certificatePem)).toThrow();
});
