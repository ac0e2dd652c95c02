/** Whether the source comes back by itself from the restarts of a cold clone: nobody need be there. */
import { UNKNOWN } from "../../protocol/inventory.ts";
import { type PreflightRule, Unknown } from "./rule.ts";

export const returnRules: readonly PreflightRule[] = [
  {
    id: "starts-unattended",
    severity: "fail",
    holds: "the source starts without anybody at its console",
    check: ({ source }) => {
      const unlocking = source.inventory?.unlocking ?? UNKNOWN;
      if (unlocking === UNKNOWN)
        return new Unknown("whether the source waits for a passphrase when it starts is not known");
      return unlocking === "by-hand"
        ? "the source waits for the passphrase of an encrypted volume when it starts, and would wait after its restart"
        : undefined;
    },
    remedy:
      "Convert hot; or have the volume opened by a key file, the TPM or the network for the time of the conversion; or, with somebody there, start the machine from the boot image's ISO by hand and convert it with --type manual-cold.",
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
