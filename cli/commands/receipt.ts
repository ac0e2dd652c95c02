import { isGrubBookkeeping } from "#shared/domain/grub-bookkeeping.ts";
import type { BootReceiptContent, BootStateItem, BootStateOutcome } from "#shared/protocol/boot-receipt.ts";
import { findReceiptProblem } from "#shared/protocol/boot-receipt-signature.ts";
import type { ConversionReceipt } from "#shared/protocol/conversion-receipt.ts";
import { ownerKind } from "#shared/protocol/ids.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { ReceiptProblemError } from "../errors.ts";
import { oneLine, print, table } from "../terminal.ts";

export const receipt: CliCommand = {
  name: "receipt",
  summary:
    "Shows and checks the boot receipt of a conversion or cutover, which proves that nothing of it is left in the source's boot state",
  usage: "receipt CONVERSION",
  help: API_HELP,
  examples: [
    "causeway receipt cnv_01jd3v8q6m4x2k7zt5w9h0n1yb",
    "causeway receipt cnv_01jd… --json | jq .receipt.content.items",
  ],
  options: API_OPTIONS,
  positionals: ["CONVERSION"],
  async run(call) {
    const id = call.arguments.CONVERSION ?? "";
    const api = apiOf(call);
    const parameters = { id };
    const kept = await (ownerKind(id) === "cutover"
      ? api.getCutoverReceipt({ parameters })
      : api.getConversionReceipt({ parameters }));
    const problem = problemOf(kept);
    const { outcome } = kept.receipt.content;
    print(call.terminal, call.json, { id, ...kept, valid: problem === undefined, problem }, () =>
      describe(kept, problem),
    );
    if (problem !== undefined) throw new ReceiptProblemError(`the receipt is not valid: ${problem}`);
    if (outcome === "different") throw new ReceiptProblemError("the boot state has changed");
  },
};

function problemOf({ conversionId, receipt: { content }, receipt: it, certificatePem }: ConversionReceipt) {
  if (content.conversionId !== conversionId) return `it belongs to ${content.conversionId}`;
  return findReceiptProblem(it, certificatePem);
}

function describe(
  { conversionId, receipt: { content, signature } }: ConversionReceipt,
  problem?: string,
): string {
  const rows = content.items.map(({ name, kind, before, after, outcome }) => [
    OUTCOMES[outcome],
    name,
    kind,
    inShort(before),
    inShort(after),
  ]);
  return [
    oneLine(`${conversionId}: boot receipt from ${content.agentId}, requested by ${content.requestedBy}`),
    `  armed by ${content.loader}; saved ${content.savedAt}, attested ${content.attestedAt}`,
    `  signature ${problem ? "NOT VALID" : "valid"}, certificate ${signature.certificateSha256}`,
    "",
    table(["", "WHAT", "KIND", "BEFORE", "AFTER"], rows, "nothing was changed"),
    "",
    verdictOf(content),
  ].join("\n");
}

const OUTCOMES: Readonly<Record<BootStateOutcome, string>> = {
  equal: "equal",
  "changed-by-others": "changed-by-others",
  different: "DIFFERS",
};

function verdictOf({ conversionId, outcome, items }: BootReceiptContent): string {
  if (outcome === "equal") return "The boot state is unchanged.";
  if (outcome === "different") return "THE BOOT STATE IS NOT WHAT IT WAS.";
  const names = items.filter((item) => item.outcome === outcome).map(nameOf);
  return `Nothing of the ${ownerKind(conversionId)} is left in the boot state. Others changed ${names.join(", ")} since then; those changes were kept.`;
}

/** With GRUB's variables: those that GRUB and the distribution write at starts, and the others. */
function nameOf({ name, variables = [] }: BootReceiptContent["items"][number]): string {
  if (variables.length === 0) return name;
  const usual = variables.filter(isGrubBookkeeping);
  const others = variables.filter((variable) => !isGrubBookkeeping(variable));
  const parts = [
    ...(usual.length > 0 ? [`${usual.join(", ")}, written at starts by GRUB or the distribution`] : []),
    ...(others.length > 0 ? [others.join(", ")] : []),
  ];
  return oneLine(`${name} (${parts.join("; ")})`);
}

function inShort(state: BootStateItem): string {
  if (!state.present) return "absent";
  return state.sha256?.slice(0, 16) ?? "present";
}
