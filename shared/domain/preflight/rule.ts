import type { RuleName } from "../../protocol/rule-names.ts";
import type { AgentRecord } from "../agent.ts";
import type { BootImageRecord } from "../boot-image.ts";
import type { ConversionRecord } from "../conversion.ts";

/** What rules judge by: what is asked for, and what the agents last told. */
export interface PreflightFacts {
  conversion: ConversionRecord;
  source: AgentRecord;
  /** Absent where none was named yet. */
  target?: AgentRecord | undefined;
  /** The conversion's, if there is such an image and it is complete. */
  bootImage?: BootImageRecord | undefined;
}

/** It cannot be told whether the rule holds. */
export class Unknown {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

/** One thing that must hold before a conversion touches anything. */
export interface PreflightRule {
  id: RuleName;
  /** Whether the conversion stops, or only tells. */
  severity: "fail" | "warn";
  /** `fail`: what cannot be told stops the conversion, too. Absent: it is only told. */
  whenUnknown?: "fail";
  /** An operator may pass it for one conversion, with `accept`: what `AcceptableRule` lists. */
  acceptable?: true;
  /** What is true when it holds. */
  holds: string;
  /** What is wrong, or `undefined` if the rule holds. */
  check(facts: PreflightFacts): string | Unknown | undefined;
  /** What the operator can do about it. */
  remedy: string;
}
