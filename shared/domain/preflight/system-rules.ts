/**
 * Which system a source must run to be read by a conversion of each type: who asks for the wrong one is
 * refused at once.
 */
import { WrongStateError } from "../../errors.ts";
import { type ConversionType, conversionTypes, typeChoices } from "../../protocol/conversion-types.ts";
import type { AgentEnvironment } from "../../protocol/machine.ts";
import type { AgentRecord } from "../agent.ts";
import type { PreflightFacts, PreflightRule } from "./rule.ts";

/** Judges by the source alone. */
interface SystemRule extends PreflightRule {
  check(facts: Pick<PreflightFacts, "source">): string | undefined;
}

const ownSystem: SystemRule = {
  id: "own-system",
  severity: "fail",
  holds: "the source was enrolled from its own system",
  check: ({ source: { enrolledFrom, name } }) =>
    enrolledFrom === "original"
      ? undefined
      : `source ${name} is a machine that was started from a boot image by hand`,
  remedy: `Convert it with --type ${typeChoices.startedByHand}, or restart it into its own system and enrol the agent there with \`causeway enrol-token --role source\`.`,
};

const startedByHand: SystemRule = {
  id: "started-by-hand",
  severity: "fail",
  holds: "the source was started from a boot image by hand",
  check: ({ source: { enrolledFrom, name } }) =>
    enrolledFrom === "boot-environment"
      ? undefined
      : `source ${name} was enrolled from its own system, not started from a boot image by hand`,
  remedy: `Start the machine from the boot image's ISO or over PXE, approve its code with \`causeway approve CODE\`, and convert the source that it becomes; or convert this one with --type ${typeChoices.ownSystem}.`,
};

/** By the system that a type's source was enrolled from. */
export const systemRules: Readonly<Record<AgentEnvironment, SystemRule>> = {
  original: ownSystem,
  "boot-environment": startedByHand,
};

/** Throws `WrongStateError` if conversions of this type cannot read the source. */
export function mustSuit(source: AgentRecord, type: ConversionType): void {
  const { check, remedy } = systemRules[conversionTypes[type].sourceSystem];
  const problem = check({ source });
  if (problem !== undefined) throw new WrongStateError(`${problem}: ${type} is not for it`, remedy);
}
