/** How a boot receipt is shown to people. */
import { isGrubBookkeeping } from "#shared/domain/grub-bookkeeping.ts";
import type { BootReceiptContent, BootStateItem, BootStateOutcome } from "#shared/protocol/boot-receipt.ts";
import type { ConversionReceipt } from "#shared/protocol/conversion-receipt.ts";
import { ownerKind } from "#shared/protocol/ids.ts";
import { oneLine, table } from "../terminal.ts";

/** `problem`: why it is not valid. */
export function describeBootReceipt(
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
