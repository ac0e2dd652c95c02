import { afterAll, beforeAll, expect, test } from "vitest";
import { signProofReceipt } from "#shared/domain/proof-receipt.ts";
import type { BootReceiptContent, BootReceiptItem, BootStateOutcome } from "#shared/protocol/boot-receipt.ts";
import { signBootReceipt } from "#shared/protocol/boot-receipt-signature.ts";
import type { ComparedFiles, Proof } from "#shared/protocol/proof.ts";
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

const hashed = {
  ...{ list: "a".repeat(64), files: 2, bytes: 20, found: 3, foundAll: true, changed: 1, unreadable: 0 },
  ...{ leftOut: [], seconds: 1, agentVersion: "1.2.3" },
};
const compared = {
  ...{ equal: 2, bytes: 20, moved: 0, different: 0, differences: [], unopened: [], seconds: 1 },
};
const FROZEN_FROM = "2030-01-01T00:00:00.000Z";
const AT = "2030-01-01T00:05:00.000Z";

/** What the API says of a proof that found this, signed by its target host. */
function signedProof(found: ComparedFiles = compared, ownerId = "drl_1") {
  const facts = { ownerId, sourceId: "agt_source", pointId: "rp_1", agentId: "agt_target" };
  const receipt = signProofReceipt(
    { ...facts, frozenFrom: FROZEN_FROM, hashed, compared: found },
    { agentVersion: "1.2.4", bootImageId: "b".repeat(64), comparedAt: AT },
    agent,
  );
  const { outcome } = receipt.content;
  const proof: Proof = { pointId: "rp_1", outcome, at: AT, hashed, compared: found };
  const signed = { receipt, certificatePem: agent.certificatePem };
  return { state: "made", proof, frozenFrom: FROZEN_FROM, signed };
}
const shownProof = (proof: object, id = "drl_1") => {
  kept = id.startsWith("cut") ? { conversionId: id, proof } : { ownerId: id, proof };
  return recordedRun(["receipt", id], api.environment);
};

test("a proof is shown with its point, its instant, how much was compared, by what, and whether it is signed", async () => {
  const { code, stdout } = await shownProof(signedProof());
  expect(stdout).toContain(`drl_1: proof of recovery point rp_1, as of ${FROZEN_FROM} by the source's clock`);
  expect(stdout).toContain("the copy is proved: 2 files (20 B)");
  expect(stdout).toContain("2 of 3 files were read on the source, 1 have changed");
  expect(stdout).toContain(`compared ${AT} by agt_target (agent 1.2.4) with boot image ${"b".repeat(64)}`);
  expect(stdout).toContain("read by agt_source (agent 1.2.3)");
  expect(stdout).toContain("signature valid");
  expect(code).toBe(0);
});

test("a proof by the boot environment says so, and names what was not opened", async () => {
  const unopened = [{ place: "/dev/sda2", why: "it is encrypted" }];
  const there = { ...hashed, changed: 0, system: "boot-environment", unopened };
  const proof = { pointId: "rp_1", outcome: "unknown", reason: "sda2", at: AT, hashed: there, compared };
  const { stdout } = await shownProof({ state: "made", proof }, "cut_1");
  expect(stdout).toContain("rp_1, as of its source in the boot environment, where nothing else writes");
  expect(stdout).toContain(
    "2 of 3 files were read in the source's boot environment, /dev/sda2 is not opened",
  );
});

test("a proof without a signature says so, and its reason; it is not called valid", async () => {
  const proof = { pointId: "rp_1", outcome: "unknown", reason: "NoBootImageError: none", at: AT };
  const { code, stdout } = await shownProof({ state: "made", proof, frozenFrom: FROZEN_FROM });
  expect(stdout).toContain("the copy is not proved: NoBootImageError: none");
  expect(stdout).toContain("not signed");
  expect(code).toBe(0);
  const { stdout: json } = await recordedRun(["receipt", "drl_1", "--json"], api.environment);
  expect(JSON.parse(json)).toMatchObject({ id: "drl_1", valid: null });
});

test("a proof that was not asked for, and one without a result, do not look like an unknown one", async () => {
  expect((await shownProof({ state: "not-asked" }, "cut_1")).stdout).toContain(
    "no files were to be compared (`--prove`)",
  );
  expect((await shownProof({ state: "none" }, "cut_1")).stdout).toContain("no result is recorded");
});

test.each<[string, () => object, RegExp]>([
  ["of files that differ", () => signedProof({ ...compared, equal: 1, different: 1 }), /differ from their/],
  ["of another drill", () => signedProof(compared, "drl_2"), /it belongs to drl_2/],
  [
    "that the control plane tells differently",
    () => {
      const { proof, ...rest } = signedProof({ ...compared, equal: 1, moved: 1 });
      return { ...rest, proof: { ...proof, outcome: "equal" } };
    },
    /it says "unknown" of rp_1, and the control plane "equal"/,
  ],
])("a proof %s is an error", async (_, proof, why) => {
  const { code, stderr } = await shownProof(proof());
  expect(stderr).toMatch(why);
  expect(code).not.toBe(0);
});
