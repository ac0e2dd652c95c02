/** The rules for every conversion: connected agents, readable disks, and room for their copies. */
import type { AgentRecord } from "../agent.ts";
import type { ConversionRecord } from "../conversion.ts";
import { type PreflightFacts, type PreflightRule, Unknown } from "./rule.ts";

const GIB = 1024 ** 3;

export const commonRules: readonly PreflightRule[] = [
  {
    id: "source-connected",
    severity: "fail",
    holds: "the source is connected",
    check: ({ source, conversion }) => absenceOf(source, "source", conversion),
    remedy: "Start the agent on the source server and check that it reaches the control plane.",
  },
  {
    id: "target-connected",
    severity: "fail",
    holds: "the target is connected",
    check: ofTarget(({ target, conversion }) => absenceOf(target, "target", conversion)),
    remedy: "Start the agent on the target host and check that it reaches the control plane.",
  },
  {
    id: "source-held",
    severity: "fail",
    holds: "no other conversion reads the source",
    check: ({ source, conversion }) =>
      source.heldBy === conversion.id
        ? undefined
        : `source ${source.name} is held by ${source.heldBy ?? "nothing"}, not by this one`,
    remedy: "Only one conversion reads a source at a time: wait for the other one or cancel it.",
  },
  {
    id: "inventory-whole",
    severity: "fail",
    acceptable: true,
    holds: "the source's inventory is complete",
    check: ({ source }) => {
      const problems = source.inventory?.problems ?? [];
      return problems.length > 0
        ? `the inventory of source ${source.name} is not complete: ${problems.slice(0, 5).join("; ")}`
        : undefined;
    },
    remedy:
      "Start the agent with --disk for the disks to convert, which makes the inventory smaller; or accept the rule if the missing parts do not matter.",
  },
  {
    id: "some-disk",
    severity: "fail",
    holds: "there is a disk to convert",
    check: ({ conversion }) => (conversion.disks.length > 0 ? undefined : "there is no disk to convert"),
    remedy:
      "Check the disks with `causeway sources`; start the agent with --disk NAME=PATH for an image file.",
  },
  {
    id: "disks-exist",
    severity: "fail",
    holds: "the source has the disks that were named",
    check: ({ conversion, source }) => {
      const known = new Set(source.inventory?.disks.map((disk) => disk.name));
      const missing = conversion.disks.filter((name) => !known.has(name));
      return missing.length > 0 ? `source ${source.name} has no disk ${missing.join(", ")}` : undefined;
    },
    remedy: "Use the disk names that `causeway sources` shows.",
  },
  {
    id: "disks-readable",
    severity: "fail",
    holds: "the agent can read every disk",
    check: ({ conversion, source }) => {
      const unreadable = source.inventory?.disks.flatMap((disk) =>
        conversion.disks.includes(disk.name) && disk.unreadable !== undefined
          ? [`${disk.name}: ${disk.unreadable}`]
          : [],
      );
      return unreadable?.length ? `cannot be read: ${unreadable.join("; ")}` : undefined;
    },
    remedy:
      "Run the agent as root, or correct the path, and restart the agent, which looks again; or leave this disk out.",
  },
  {
    id: "disks-understood",
    severity: "warn",
    holds: "the agent understands what is on every disk",
    check: ({ conversion, source }) => {
      const problems = source.inventory?.disks.flatMap((disk) =>
        conversion.disks.includes(disk.name)
          ? disk.problems.map((problem) => `${disk.name}: ${problem}`)
          : [],
      );
      return problems?.length ? problems.slice(0, 5).join("; ") : undefined;
    },
    remedy:
      "What is not understood is copied whole, and the recovery point keeps the reason. If the disk is failing, replace it first.",
  },
  {
    id: "disks-not-empty",
    severity: "fail",
    holds: "no disk is empty",
    check: ({ conversion, source }) => {
      const empty = source.inventory?.disks.filter(
        ({ name, sizeBytes, unreadable }) =>
          conversion.disks.includes(name) && sizeBytes === 0 && unreadable === undefined,
      );
      return empty?.length ? `disk ${empty.map((disk) => disk.name).join(", ")} is empty` : undefined;
    },
    remedy: "Leave this disk out, or insert its medium and restart the agent.",
  },
  {
    id: "target-room",
    severity: "warn",
    holds: "the target has room for every byte of the disks",
    check: ofTarget(({ conversion, source, target }) => {
      const free = target.inventory?.images?.freeBytes;
      const needed = wholeBytes(conversion, source);
      if (free === undefined || free >= needed) return undefined;
      return `the disks take up to ${inGiB(needed)}, but target ${target.name} has ${inGiB(free)} free`;
    }),
    remedy:
      "Images are sparse, so this may be enough; if not, make room on the target host, or start its agent with --images on a larger file system.",
  },
  {
    id: "target-not-full",
    severity: "fail",
    holds: "the target has free space",
    check: ofTarget(({ target }) =>
      target.inventory?.images?.freeBytes === 0 ? `target ${target.name} has no free space` : undefined,
    ),
    remedy: "Make room on the target host, or start its agent with --images on another file system.",
  },
  {
    id: "target-boots",
    severity: "fail",
    holds: "the target can boot the clone",
    check: ofTarget(({ conversion, target }) => {
      if (!conversion.bootCheck.enabled || !target.inventory) return undefined;
      const { hypervisor } = target.inventory;
      if (!hypervisor) return `target ${target.name} has no hypervisor for the boot check`;
      return conversion.firmware === "uefi" && !hypervisor.uefiFirmware
        ? `target ${target.name} has no UEFI firmware for the boot check`
        : undefined;
    }),
    remedy:
      "Install QEMU (and ovmf for UEFI systems) on the target host and restart its agent, or convert without a boot check.",
  },
];

/**
 * Why the agent is not connected. An agent that was connected when the operator started the conversion counts
 * as connected: the conversion waits for it, as every later step does, because the control plane may have
 * restarted.
 */
function absenceOf(agent: AgentRecord, role: string, { createdAt }: ConversionRecord): string | undefined {
  if (agent.revokedAt) return `${role} ${agent.name} was revoked`;
  const { state, at } = agent.presence;
  const wasThere = state === "connected" || (state === "disconnected" && at > Date.parse(createdAt));
  if (!wasThere) return `${role} ${agent.name} is not connected`;
  return agent.inventory ? undefined : `${role} ${agent.name} has not sent its inventory`;
}

function wholeBytes(conversion: ConversionRecord, source: AgentRecord): number {
  const chosen = source.inventory?.disks.filter((disk) => conversion.disks.includes(disk.name)) ?? [];
  return chosen.reduce((sum, disk) => sum + disk.sizeBytes, 0);
}

function inGiB(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}

/** A check of the target host. Its outcome is unknown if no target host was named. */
function ofTarget(
  check: (facts: PreflightFacts & { target: AgentRecord }) => string | undefined,
): PreflightRule["check"] {
  return ({ target, ...facts }) =>
    target ? check({ ...facts, target }) : new Unknown("no target host was named");
}
