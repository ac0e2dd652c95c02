import { findProofReceiptProblem } from "#shared/domain/proof-receipt.ts";
import { findReceiptProblem } from "#shared/protocol/boot-receipt-signature.ts";
import type { ApiClient } from "#shared/protocol/client.ts";
import type { ConversionReceipt } from "#shared/protocol/conversion-receipt.ts";
import { ownerKind } from "#shared/protocol/ids.ts";
import type { KeptProof } from "#shared/protocol/kept-receipt.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { ReceiptProblemError } from "../errors.ts";
import { print } from "../terminal.ts";
import { describeBootReceipt } from "./boot-receipt-text.ts";
import { describeKeptProof } from "./proof-receipt-text.ts";

export const receipt: CliCommand = {
  name: "receipt",
  summary:
    "Shows and checks a receipt: of a conversion or cutover, that nothing of it is left in the source's boot state; of a drill, recovery or cutover with --prove, what was proved of the copy",
  usage: "receipt ID",
  help: API_HELP,
  examples: [
    "causeway receipt cnv_01jd3v8q6m4x2k7zt5w9h0n1yb",
    "causeway receipt cnv_01jd… --json | jq .receipt.content.items",
    "causeway receipt cut_01jd… --json > receipt.json",
  ],
  options: API_OPTIONS,
  positionals: ["ID"],
  async run(call) {
    const id = call.arguments.ID ?? "";
    const kept = await keptOf(id, apiOf(call));
    const boot = bootReceiptIn(kept);
    const { proof } = kept;
    const bootProblem = boot && problemOf(boot);
    const proofProblem = proof && problemOfProof(id, proof);
    const problem = bootProblem ?? proofProblem;
    const isSigned = boot !== undefined || (proof?.state === "made" && proof.signed !== undefined);
    // Without a signature there is nothing to check.
    const valid = isSigned ? problem === undefined : null;
    print(call.terminal, call.json, { id, ...kept, valid, problem }, () =>
      [
        ...(boot ? [describeBootReceipt(boot, bootProblem)] : []),
        ...(proof ? [describeKeptProof(id, proof, proofProblem)] : []),
      ].join("\n\n"),
    );
    if (problem !== undefined)
      throw new ReceiptProblemError(
        `the receipt is not valid: ${problem}`,
        bootProblem === undefined ? USE_ANOTHER : undefined,
      );
    if (boot?.receipt.content.outcome === "different")
      throw new ReceiptProblemError("the boot state has changed");
    if (proof?.state === "made" && proof.proof.outcome === "different")
      throw new ReceiptProblemError("files of the copy differ from their source", USE_ANOTHER);
  },
};

const USE_ANOTHER = "Do not use this recovery point; `causeway points SOURCE` shows what others proved.";

/** What the API answers, whatever kind of receipt it is. */
type Kept = Partial<ConversionReceipt> & { proof?: KeptProof };

function keptOf(id: string, api: ApiClient): Promise<Kept> {
  const request = { parameters: { id } };
  switch (ownerKind(id)) {
    case "cutover":
      return api.getCutoverReceipt(request);
    case "drill":
      return api.getDrillReceipt(request);
    case "recovery":
      return api.getRecoveryReceipt(request);
    default:
      return api.getConversionReceipt(request);
  }
}

function bootReceiptIn(kept: Kept): ConversionReceipt | undefined {
  const { conversionId, receipt, receivedAt, certificatePem } = kept;
  return conversionId && receipt && receivedAt && certificatePem
    ? { conversionId, receipt, receivedAt, certificatePem }
    : undefined;
}

function problemOf({ conversionId, receipt: it, certificatePem }: ConversionReceipt): string | undefined {
  const { content } = it;
  if (content.conversionId !== conversionId) return `it belongs to ${content.conversionId}`;
  return findReceiptProblem(it, certificatePem);
}

function problemOfProof(id: string, kept: KeptProof): string | undefined {
  if (kept.state !== "made" || !kept.signed) return undefined;
  const { receipt: it, certificatePem } = kept.signed;
  const { ownerId, pointId, outcome } = it.content;
  if (ownerId !== id) return `it belongs to ${ownerId}`;
  if (pointId !== kept.proof.pointId || outcome !== kept.proof.outcome)
    return `it says "${outcome}" of ${pointId}, and the control plane "${kept.proof.outcome}" of ${kept.proof.pointId}`;
  return findProofReceiptProblem(it, certificatePem);
}
