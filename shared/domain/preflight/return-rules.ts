/** Whether the source comes back from the restarts of a cold clone without a person at its console. */
import { typeChoices } from "../../protocol/conversion-types.ts";
import { type SystemReturn, UNKNOWN } from "../../protocol/inventory.ts";
import type { AcceptableRule } from "../../protocol/rule-names.ts";
import type { AgentRecord } from "../agent.ts";
import { type PreflightRule, Unknown } from "./rule.ts";

type ReturnPartName = Exclude<keyof SystemReturn, "triedBefore">;

/** The rule for each part of the return. */
export const RULE_OF_PART: Readonly<Record<ReturnPartName, AcceptableRule>> = {
  bootLoader: "starts-unattended",
  nextStart: "starts-this-system",
  volumes: "opens-unattended",
};

const BY_HAND = `Or convert hot; or, with a person at the machine, start it by hand from the boot image's ISO and convert it with --type ${typeChoices.startedByHand}.`;

/** A check of one part of the return, which reports the agent's own words. */
function judgedBy(part: ReturnPartName): PreflightRule["check"] {
  return ({ source }) => {
    const judged = source.inventory?.return?.[part];
    if (!judged)
      return new Unknown(`the agent of source ${source.name} does not report how its system starts`);
    if (judged.verdict === "unattended") return undefined;
    const text = [judged.reason ?? "the agent gives no reason", judged.remedy].filter(Boolean).join(". ");
    return judged.verdict === UNKNOWN ? new Unknown(text) : text;
  };
}

function triedBefore({ inventory }: AgentRecord): readonly string[] {
  return inventory?.return?.triedBefore ?? [];
}

export const returnRules: readonly PreflightRule[] = [
  {
    id: RULE_OF_PART.bootLoader,
    severity: "fail",
    whenUnknown: "fail",
    acceptable: true,
    holds: "the source's boot loader starts it without a person at the console",
    check: judgedBy("bootLoader"),
    remedy: `Do what the message says, and restart the agent. ${BY_HAND}`,
  },
  {
    id: RULE_OF_PART.nextStart,
    severity: "fail",
    whenUnknown: "fail",
    acceptable: true,
    holds: "the source's next normal start leads to the system that it runs now",
    check: judgedBy("nextStart"),
    remedy: `Do what the message says, and restart the agent. ${BY_HAND}`,
  },
  {
    id: RULE_OF_PART.volumes,
    severity: "fail",
    whenUnknown: "fail",
    acceptable: true,
    holds: "the source unlocks its encrypted volumes without a person at the console",
    check: judgedBy("volumes"),
    remedy: `Let a key file, the TPM or the network unlock the volume for the duration of the conversion. ${BY_HAND}`,
  },
  {
    id: "starts-first",
    severity: "warn",
    holds: "the firmware tries the source's own system first",
    check: ({ source }) => {
      const tried = triedBefore(source);
      return tried.length > 0
        ? `before the source's system the firmware tries ${tried.join(", ")}: if one of them can boot, it starts instead`
        : undefined;
    },
    remedy: "Put the system's entry first with `efibootmgr -o`, or make sure that none of them can boot.",
  },
  {
    id: "agent-starts-at-boot",
    severity: "warn",
    holds: "the source's agent starts with its system",
    check: ({ source }) => {
      const agentStart = source.inventory?.agentStart ?? UNKNOWN;
      if (agentStart === UNKNOWN)
        return new Unknown("it is not known whether the source's agent starts with its system");
      return agentStart === "by-hand"
        ? "the source's agent was started by hand: after the restart, the machine does not report until the agent is started again"
        : undefined;
    },
    remedy:
      "Make the agent a service that starts at boot (docs/operations.md); else log in after the restart and start the agent before the deadline.",
  },
  {
    id: "raid-complete",
    severity: "warn",
    holds: "no software RAID is missing a disk",
    check: ({ source }) => {
      const degraded = source.inventory?.raidArrays.filter((array) => array.degraded === true) ?? [];
      return degraded.length > 0
        ? `RAID ${degraded.map(({ name }) => name).join(", ")} is missing a disk, and disks often fail at a restart`
        : undefined;
    },
    remedy: "Repair the array before you restart the machine.",
  },
];
