/** A machine's key and certificate, as enrolment gives them, and receipts that it signs. */
import "reflect-metadata";
import { createHash, generateKeyPairSync, webcrypto, X509Certificate } from "node:crypto";
import { X509CertificateGenerator } from "@peculiar/x509";
import type { BootReceipt, BootReceiptContent } from "#shared/protocol/boot-receipt.ts";
import { signBootReceipt } from "#shared/protocol/boot-receipt-signature.ts";

export interface TestDevice {
  keyPem: string;
  certificatePem: string;
  certificateId: string;
}

export async function aDevice(): Promise<TestDevice> {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const imported = async (format: "pkcs8" | "spki", der: Buffer, usage: "sign" | "verify") =>
    webcrypto.subtle.importKey(format, der, algorithm, true, [usage]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=pine",
    notBefore: new Date("2029-01-01T00:00:00Z"),
    notAfter: new Date("2039-01-01T00:00:00Z"),
    signingAlgorithm: algorithm,
    keys: {
      privateKey: await imported("pkcs8", privateKey.export({ type: "pkcs8", format: "der" }), "sign"),
      publicKey: await imported("spki", publicKey.export({ type: "spki", format: "der" }), "verify"),
    },
  });
  const certificatePem = certificate.toString("pem");
  return {
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    certificatePem,
    certificateId: createHash("sha256").update(new X509Certificate(certificatePem).raw).digest("hex"),
  };
}

export function aReceipt(device: TestDevice, change: Partial<BootReceiptContent> = {}): BootReceipt {
  const state = { present: true as const, sha256: "a".repeat(64), sizeBytes: 1024 };
  const content: BootReceiptContent = {
    format: 1,
    conversionId: "cnv_1",
    agentId: "agt_source",
    requestedBy: "ada",
    loader: "grub",
    savedAt: "2030-01-01T00:00:00.000Z",
    attestedAt: "2030-01-01T00:10:00.000Z",
    bootId: "boot-3",
    items: [{ kind: "file", name: "/boot/grub/grubenv", before: state, after: state, equal: true }],
    equal: true,
    ...change,
  };
  return signBootReceipt(content, device.keyPem, device.certificatePem);
}
