/** Whether the source comes back by itself from the restarts of a cold clone: nobody need be there. */
import { typeChoices } from "../../protocol/conversion-types.ts";
import { type SystemReturn, UNKNOWN } from "../../protocol/inventory.ts";
import type { AcceptableRule } from "../../protocol/rule-names.ts";
import type { AgentRecord } from "../agent.ts";
import { type PreflightRule, Unknown } from "./rule.ts";

type ReturnPartName = Exclude<keyof SystemReturn, "triedBefore">;

/** The rule that each part of the return is judged by. */
export const RULE_OF_PART: Readonly<Record<ReturnPartName, AcceptableRule>> = {
  bootLoader: "starts-unattended",
  nextStart: "starts-this-system",
  volumes: "opens-unattended",
};

const BY_HAND = `Or convert hot; or, with somebody there, start the machine from the boot image's ISO by hand and convert it with --type ${typeChoices.startedByHand}.`;

/** A part of the return, in the agent's words. */
function judgedBy(part: ReturnPartName): PreflightRule["check"] {
  return ({ source }) => {
    const judged = source.inventory?.return?.[part];
    if (!judged) return new Unknown(`the agent of source ${source.name} does not say how its system starts`);
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
    holds: "the source's boot loader starts it without anybody at its console",
    check: judgedBy("bootLoader"),
    remedy: `Do what is said there, and restart the agent. ${BY_HAND}`,
  },
  {
    id: RULE_OF_PART.nextStart,
    severity: "fail",
    whenUnknown: "fail",
    acceptable: true,
    holds: "the source's next normal start leads into the system that it runs",
    check: judgedBy("nextStart"),
    remedy: `Do what is said there, and restart the agent. ${BY_HAND}`,
  },
  {
    id: RULE_OF_PART.volumes,
    severity: "fail",
    whenUnknown: "fail",
    acceptable: true,
    holds: "the source opens its encrypted volumes without anybody at its console",
    check: judgedBy("volumes"),
    remedy: `Have the volume opened by a key file, the TPM or the network for the time of the conversion. ${BY_HAND}`,
  },
  {
    id: "starts-first",
    severity: "warn",
    holds: "the firmware tries the source's own system first",
    check: ({ source }) => {
      const tried = triedBefore(source);
      return tried.length > 0
        ? `before the source's system the firmware tries ${tried.join(", ")}: whatever answers there is started instead`
        : undefined;
    },
    remedy: "Put the system's entry first with `efibootmgr -o`, or see that nothing answers there.",
  },
  {
    id: "agent-starts-at-boot",
    severity: "warn",
    holds: "the source's agent starts with its system",
    check: ({ source }) => {
      const agentStart = source.inventory?.agentStart ?? UNKNOWN;
      if (agentStart === UNKNOWN)
        return new Unknown("whether the source's agent starts with its system is not known");
      return agentStart === "by-hand"
        ? "the source's agent was started by hand: nobody hears that the machine is back until it is started again"
        : undefined;
    },
    remedy:
      "Make the agent a service that starts at boot (docs/operations.md); else log in and start it after the restart, before the deadline.",
  },
  {
    id: "raid-complete",
    severity: "warn",
    holds: "no software RAID lacks a disk",
    check: ({ source }) => {
      const degraded = source.inventory?.raidArrays.filter((array) => array.degraded === true) ?? [];
      return degraded.length > 0
        ? `RAID ${degraded.map(({ name }) => name).join(", ")} lacks a disk, and a restart is when disks fail`
        : undefined;
    },
    remedy: "Repair the array before the machine is restarted.",
  },
];
