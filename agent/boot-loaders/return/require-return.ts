import { RULE_OF_PART } from "#shared/domain/preflight/return-rules.ts";
import { ReturnNotUnattendedError } from "#shared/errors.ts";
import type { RuleName } from "#shared/protocol/rule-names.ts";
import type { BootMachine } from "../../machine/boot-machine.ts";
import { judgeReturn } from "./system-return.ts";

/**
 * Throws `ReturnNotUnattendedError` if this machine, once restarted, may wait for a person or start another
 * system, unless the operator has accepted that. Changes nothing.
 */
export async function requireReturn(machine: BootMachine, accept: readonly RuleName[]): Promise<void> {
  const judged = await judgeReturn(machine);
  const parts = ["bootLoader", "nextStart", "volumes"] as const;
  const against = parts.flatMap((part) => {
    const { verdict, reason = "it gives no reason", remedy = "" } = judged[part];
    const rule = RULE_OF_PART[part];
    return verdict === "unattended" || accept.includes(rule) ? [] : [{ rule, reason, remedy }];
  });
  if (against.length > 0) throw new ReturnNotUnattendedError(against);
}
