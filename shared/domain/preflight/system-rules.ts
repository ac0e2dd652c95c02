/**
 * The system from which a source must have been enrolled for each type of conversion. A request for the
 * wrong type is refused at once.
 */
import { WrongStateError } from "../../errors.ts";
import { type ConversionType, conversionTypes, typeChoices } from "../../protocol/conversion-types.ts";
import type { AgentSystem } from "../../protocol/machine.ts";
import type { AgentRecord } from "../agent.ts";
import type { PreflightFacts, PreflightRule } from "./rule.ts";

/** A rule that needs only the source. */
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
      : `source ${name} is a machine that was started by hand from a boot image`,
  remedy: `Convert it with --type ${typeChoices.startedByHand}, or restart it into its own system and enrol the agent there with \`causeway enrol-token --role source\`.`,
};

const startedByHand: SystemRule = {
  id: "started-by-hand",
  severity: "fail",
  holds: "the source was started by hand from a boot image",
  check: ({ source: { enrolledFrom, name } }) =>
    enrolledFrom === "boot-environment"
      ? undefined
      : `source ${name} was enrolled from its own system, not started by hand from a boot image`,
  remedy: `Start the machine from the boot image's ISO or over PXE, approve its code with \`causeway approve CODE\`, and convert the source that it becomes; or convert this one with --type ${typeChoices.ownSystem}.`,
};

/** By the system from which a type's source must have been enrolled. */
export const systemRules: Readonly<Record<AgentSystem, SystemRule>> = {
  original: ownSystem,
  "boot-environment": startedByHand,
};

/** Throws `WrongStateError` if conversions of this type cannot read the source. */
export function requireConvertible(source: AgentRecord, type: ConversionType): void {
  const { check, remedy } = systemRules[conversionTypes[type].sourceSystem];
  const problem = check({ source });
  if (problem !== undefined)
    throw new WrongStateError(`${problem}: it cannot be converted with type ${type}`, remedy);
}
