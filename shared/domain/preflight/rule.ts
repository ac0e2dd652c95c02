import type { RuleName } from "../../protocol/rule-names.ts";
import type { AgentRecord } from "../agent.ts";
import type { BootImageRecord } from "../boot-image.ts";
import type { ConversionRecord } from "../conversion.ts";

/** What the rules check: the requested conversion and what the agents last reported. */
export interface PreflightFacts {
  conversion: ConversionRecord;
  source: AgentRecord;
  /** Absent if none has been named yet. */
  target?: AgentRecord | undefined;
  /** The conversion's, if there is such an image and it is complete. */
  bootImage?: BootImageRecord | undefined;
}

/** The answer of a check that cannot find out whether the rule holds. */
export class Unknown {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

/** One condition that must hold before a conversion touches anything. */
export interface PreflightRule {
  id: RuleName;
  /** `fail` stops the conversion; `warn` only shows a warning. */
  severity: "fail" | "warn";
  /** `fail`: an unknown outcome stops the conversion, too. If absent, it only shows a warning. */
  whenUnknown?: "fail";
  /** Set for the rules in `AcceptableRule`: an operator may accept a failure for one conversion. */
  acceptable?: true;
  /** What is true if the rule holds. */
  holds: string;
  /** What is wrong, or `undefined` if the rule holds. */
  check(facts: PreflightFacts): string | Unknown | undefined;
  /** What the operator can do about it. */
  remedy: string;
}
