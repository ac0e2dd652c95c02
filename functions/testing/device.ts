/** A machine's key and certificate, as from enrolment, and receipts that it signs. */
import { createHash, X509Certificate } from "node:crypto";
import type { BootReceipt, BootReceiptContent } from "#shared/protocol/boot-receipt.ts";
import { signBootReceipt } from "#shared/protocol/boot-receipt-signature.ts";
import { type AgentKey, createAgentKey } from "#shared/protocol/testing/agent-key.ts";

export interface TestDevice extends AgentKey {
  certificateId: string;
}

export async function aDevice(): Promise<TestDevice> {
  const key = await createAgentKey();
  const { raw } = new X509Certificate(key.certificatePem);
  return { ...key, certificateId: createHash("sha256").update(raw).digest("hex") };
}

export function aReceipt(device: TestDevice, change: Partial<BootReceiptContent> = {}): BootReceipt {
  const state = { present: true as const, sha256: "a".repeat(64), sizeBytes: 1024 };
  const content: BootReceiptContent = {
    format: 2,
    conversionId: "cnv_1",
    agentId: "agt_source",
    requestedBy: "ada",
    loader: "grub",
    savedAt: "2030-01-01T00:00:00.000Z",
    attestedAt: "2030-01-01T00:10:00.000Z",
    bootId: "boot-3",
    items: [{ kind: "file", name: "/boot/grub/grubenv", before: state, after: state, outcome: "equal" }],
    outcome: "equal",
    ...change,
  };
  return signBootReceipt(content, device.keyPem, device.certificatePem);
}
