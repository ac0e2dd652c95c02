/**
 * The rules that must hold before a conversion touches anything. Each rule is data and includes its remedy.
 */
import { type ConversionType, conversionTypes, type RuleGroup } from "../protocol/conversion-types.ts";
import type { RuleOutcome } from "../protocol/resources.ts";
import type { RuleName } from "../protocol/rule-names.ts";
import { commonRules } from "./preflight/common-rules.ts";
import { restartRules } from "./preflight/restart-rules.ts";
import { type PreflightFacts, type PreflightRule, Unknown } from "./preflight/rule.ts";
import { systemRules } from "./preflight/system-rules.ts";
import { unusedDiskRules } from "./preflight/unused-disk-rules.ts";

export type { PreflightFacts };

const rulesOfGroup: Readonly<Record<RuleGroup, readonly PreflightRule[]>> = {
  "unused-disks": unusedDiskRules,
  restart: restartRules,
};

function rulesOf(type: ConversionType): readonly PreflightRule[] {
  const { sourceSystem, rules } = conversionTypes[type];
  return [systemRules[sourceSystem], ...commonRules, ...rules.flatMap((group) => rulesOfGroup[group])];
}

/** The outcome of every rule for the conversion's type, in the rules' order. */
export function preflightRules(facts: PreflightFacts): RuleOutcome[] {
  return rulesOf(facts.conversion.type).map((rule) => outcomeOf(rule, facts));
}

function outcomeOf(rule: PreflightRule, facts: PreflightFacts): RuleOutcome {
  const { id, severity, whenUnknown, holds, remedy, acceptable = false } = rule;
  const found = rule.check(facts);
  if (found === undefined) return { id, severity, acceptable, outcome: "pass", message: holds };
  const isUnknown = found instanceof Unknown;
  const shown = { id, severity, acceptable, message: isUnknown ? found.message : found, remedy };
  const outcome = isUnknown ? (whenUnknown ?? "unknown") : severity;
  const { accept, requestedBy } = facts.conversion;
  const isAccepted = outcome === "fail" && acceptable && accept.some((name) => name === id);
  return isAccepted ? { ...shown, outcome: "accepted", acceptedBy: requestedBy } : { ...shown, outcome };
}

export interface PreflightFinding {
  id: RuleName;
  severity: "fail" | "warn";
  message: string;
  remedy: string;
  /** The operator who accepted that the rule fails, which makes it a warning. */
  acceptedBy?: string | undefined;
}

/**
 * Every rule that does not hold, failures first. A rule whose outcome is unknown is a warning, because the
 * agent checks again before it touches anything, unless the rule says that it fails.
 */
export function preflightFindings(facts: PreflightFacts): PreflightFinding[] {
  return preflightRules(facts)
    .flatMap(({ id, outcome, message, remedy = "", acceptedBy }): PreflightFinding[] => {
      if (outcome === "pass") return [];
      return [{ id, severity: outcome === "fail" ? "fail" : "warn", message, remedy, acceptedBy }];
    })
    .sort((a, b) => a.severity.localeCompare(b.severity));
}
