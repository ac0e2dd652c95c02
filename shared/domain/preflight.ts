/** What must hold before a conversion touches anything: each rule is data, with what to do if it does not hold. */
import type { ConversionType, RuleOutcome } from "../protocol/resources.ts";
import { commonRules } from "./preflight/common-rules.ts";
import { remoteColdRules } from "./preflight/remote-cold-rules.ts";
import { type PreflightFacts, type PreflightRule, Unknown } from "./preflight/rule.ts";
import { systemRules } from "./preflight/system-rules.ts";

export type { PreflightFacts };

const rules: Readonly<Record<ConversionType, readonly PreflightRule[]>> = {
  hot: [systemRules.hot, ...commonRules],
  "remote-cold": [systemRules["remote-cold"], ...commonRules, ...remoteColdRules],
  "manual-cold": [systemRules["manual-cold"], ...commonRules],
};

/** What came of every rule of the conversion's type, in their order. */
export function preflightRules(facts: PreflightFacts): RuleOutcome[] {
  return rules[facts.conversion.type].map(({ id, severity, holds, check, remedy }): RuleOutcome => {
    const found = check(facts);
    if (found === undefined) return { id, severity, outcome: "pass", message: holds };
    if (found instanceof Unknown) return { id, severity, outcome: "unknown", message: found.message, remedy };
    return { id, severity, outcome: severity, message: found, remedy };
  });
}

export interface PreflightFinding {
  id: string;
  severity: "fail" | "warn";
  message: string;
  remedy: string;
}

/** Every rule that does not hold, failures first. What cannot be told is a warning: where it could do harm, the agent looks again before it touches anything. */
export function preflightFindings(facts: PreflightFacts): PreflightFinding[] {
  return preflightRules(facts)
    .flatMap(({ id, outcome, message, remedy = "" }): PreflightFinding[] =>
      outcome === "pass" ? [] : [{ id, severity: outcome === "fail" ? "fail" : "warn", message, remedy }],
    )
    .sort((a, b) => a.severity.localeCompare(b.severity));
}
