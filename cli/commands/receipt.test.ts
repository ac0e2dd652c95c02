import { afterAll, beforeAll, expect, test } from "vitest";
import type { BootReceiptContent, BootReceiptItem, BootStateOutcome } from "#shared/protocol/boot-receipt.ts";
import { signBootReceipt } from "#shared/protocol/boot-receipt-signature.ts";
import { type AgentKey, createAgentKey } from "#shared/protocol/testing/agent-key.ts";
import { FakeApi } from "../testing/fake-api.ts";
import { recordedRun } from "../testing/recorded-run.ts";

const stateOf = (letter: string) => ({ present: true, sha256: letter.repeat(64), sizeBytes: 1024 }) as const;

let agent: AgentKey;
let kept: unknown;
let api: FakeApi;
beforeAll(async () => {
  agent = await createAgentKey();
  api = await FakeApi.start(() => kept);
});
afterAll(() => api.close());

/** The command for a receipt in which one item has this outcome. */
function receipt(outcome: BootStateOutcome) {
  const after = stateOf(outcome === "equal" ? "a" : "b");
  const items: BootReceiptItem[] = [
    {
      ...{ kind: "file", name: "/boot/grub/grubenv", before: stateOf("a"), after, outcome },
      ...(outcome === "changed-by-others" ? { variables: ["boot_success", "saved_entry"] } : {}),
    },
    {
      kind: "watched-file",
      name: "/boot/grub/grub.cfg",
      before: stateOf("a"),
      after: stateOf("a"),
      outcome: "equal",
    },
  ];
  const at = "2030-01-01T00:00:00.000Z";
  const content: BootReceiptContent = {
    format: 2,
    conversionId: "cnv_1",
    agentId: "agt_source",
    requestedBy: "ada",
    loader: "grub",
    savedAt: at,
    attestedAt: at,
    bootId: "boot-3",
    items,
    outcome,
  };
  const signed = signBootReceipt(content, agent.keyPem, agent.certificatePem);
  kept = { conversionId: "cnv_1", receipt: signed, receivedAt: at, certificatePem: agent.certificatePem };
  return recordedRun(["receipt", "cnv_1"], api.environment);
}

test("an unchanged boot state is a success", async () => {
  const { code, stdout } = await receipt("equal");
  expect(stdout).toContain("The boot state is unchanged.");
  expect(code).toBe(0);
});

test("what others changed is named in the table and below it, and is also a success", async () => {
  const { code, stdout } = await receipt("changed-by-others");
  expect(stdout).toMatch(/^changed-by-others +\/boot\/grub\/grubenv/m);
  expect(stdout.trimEnd().split("\n").at(-1)).toMatch(
    /^Nothing of the conversion is left.* Others changed \/boot\/grub\/grubenv \(boot_success, written at starts by GRUB or the distribution; saved_entry\) since then;/,
  );
  expect(stdout).not.toContain("The boot state is unchanged.");
  expect(code).toBe(0);
});

test("a leftover of arming is an error", async () => {
  const { code, stdout, stderr } = await receipt("different");
  expect(stdout).toMatch(/^DIFFERS +\/boot\/grub\/grubenv/m);
  expect(stderr).toContain("the boot state has changed");
  expect(code).not.toBe(0);
});
