/** The target host of a site, which signs what it compared. */
import { isOfItsSystem, signProofReceipt } from "#shared/domain/proof-receipt.ts";
import { ComparedFiles, type ProofReceipt, proofCommands } from "#shared/protocol/proof.ts";
import { aDevice, type TestDevice } from "./device.ts";

let device: TestDevice;

/** Of the target host's agent. Made once: making a key takes time. */
export async function targetDevice(): Promise<TestDevice> {
  device ??= await aDevice();
  return device;
}

const Asked = proofCommands["compare-files"].input.pick({
  ...{ ownerId: true, sourceId: true, pointId: true, frozenFrom: true, hashed: true },
});

/** What the agent signs after it has found this; absent if it was not told what the source came to. */
export function signedComparison(input: unknown, found: object): { receipt?: ProofReceipt } {
  const { ownerId, sourceId, pointId, frozenFrom, hashed } = Asked.parse(input);
  if (!hashed || !isOfItsSystem(hashed, frozenFrom)) return {};
  const compared = ComparedFiles.parse(found);
  const receipt = signProofReceipt(
    { ownerId, sourceId, pointId, frozenFrom, agentId: "agt_target", hashed, compared },
    { agentVersion: "1", bootImageId: "b".repeat(64), comparedAt: "2030-01-01T00:05:00.000Z" },
    device,
  );
  return { receipt };
}
