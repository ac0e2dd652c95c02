/** What must hold before a conversion touches anything: each rule is data, with what to do if it does not hold. */
import type { ConversionType } from "../protocol/resources.ts";
import type { AgentRecord } from "./agent.ts";
import type { ConversionRecord } from "./conversion.ts";

export interface PreflightFacts {
  conversion: ConversionRecord;
  source: AgentRecord;
  target: AgentRecord;
}

export interface PreflightRule {
  id: string;
  /** Whether the conversion stops, or only tells. */
  severity: "fail" | "warn";
  /** What is wrong, or `undefined` if the rule holds. */
  check(facts: PreflightFacts): string | undefined;
  /** What the operator can do about it. */
  remedy: string;
}

export interface PreflightFinding {
  id: string;
  severity: PreflightRule["severity"];
  message: string;
  remedy: string;
}

/** Every rule of the conversion type that does not hold, failures first. */
export function preflight(facts: PreflightFacts): PreflightFinding[] {
  return rules[facts.conversion.type]
    .flatMap(({ id, severity, check, remedy }) => {
      const message = check(facts);
      return message === undefined ? [] : [{ id, severity, message, remedy }];
    })
    .sort((a, b) => a.severity.localeCompare(b.severity));
}

const GIB = 1024 ** 3;

const hot: PreflightRule[] = [
  {
    id: "source-connected",
    severity: "fail",
    check: ({ source, conversion }) => whenAway(source, "source", conversion),
    remedy: "Start the agent on the source server and check that it reaches the control plane.",
  },
  {
    id: "target-connected",
    severity: "fail",
    check: ({ target, conversion }) => whenAway(target, "target", conversion),
    remedy: "Start the agent on the target host and check that it reaches the control plane.",
  },
  {
    id: "source-held",
    severity: "fail",
    check: ({ source, conversion }) =>
      source.activeConversionId === conversion.id
        ? undefined
        : `source ${source.name} is held by ${source.activeConversionId ?? "no conversion"}, not by this one`,
    remedy: "Only one conversion reads a source at a time: wait for the other one or cancel it.",
  },
  {
    id: "some-disk",
    severity: "fail",
    check: ({ conversion }) => (conversion.disks.length > 0 ? undefined : "there is no disk to convert"),
    remedy:
      "Check the disks with `causeway sources`; start the agent with --disk NAME=PATH for an image file.",
  },
  {
    id: "disks-exist",
    severity: "fail",
    check: ({ conversion, source }) => {
      const known = new Set(source.inventory?.disks.map((disk) => disk.name));
      const missing = conversion.disks.filter((name) => !known.has(name));
      return missing.length > 0 ? `source ${source.name} has no disk ${missing.join(", ")}` : undefined;
    },
    remedy: "Name disks as `causeway sources` shows them.",
  },
  {
    id: "disks-not-empty",
    severity: "fail",
    check: ({ conversion, source }) => {
      const empty = source.inventory?.disks.filter(
        (disk) => conversion.disks.includes(disk.name) && disk.sizeBytes === 0,
      );
      return empty?.length ? `disk ${empty.map((disk) => disk.name).join(", ")} has no bytes` : undefined;
    },
    remedy: "Leave this disk out, or insert its medium and restart the agent.",
  },
  {
    id: "target-room",
    severity: "warn",
    check: ({ conversion, source, target }) => {
      const free = target.inventory?.hypervisor?.imagesFreeBytes;
      const needed = wholeBytes(conversion, source);
      if (free === undefined || free >= needed) return undefined;
      return `the disks take up to ${inGiB(needed)}, target ${target.name} has ${inGiB(free)} free`;
    },
    remedy:
      "Images are sparse, so it may do; otherwise make room on the target host or start its agent with --images on a larger file system.",
  },
  {
    id: "target-not-full",
    severity: "fail",
    check: ({ target }) =>
      target.inventory?.hypervisor?.imagesFreeBytes === 0
        ? `target ${target.name} has no free space`
        : undefined,
    remedy: "Make room on the target host, or start its agent with --images on another file system.",
  },
  {
    id: "target-boots",
    severity: "fail",
    check: ({ conversion, target }) => {
      const hypervisor = target.inventory?.hypervisor;
      if (!conversion.bootCheck.enabled || !hypervisor) return undefined;
      if (!hypervisor.qemuVersion) return `target ${target.name} has no QEMU for the boot check`;
      return conversion.firmware === "uefi" && !hypervisor.uefiFirmware
        ? `target ${target.name} has no UEFI firmware for the boot check`
        : undefined;
    },
    remedy:
      "Install QEMU (and ovmf for UEFI systems) on the target host and restart its agent, or convert without a boot check.",
  },
  {
    id: "target-fast",
    severity: "warn",
    check: ({ conversion, target }) =>
      conversion.bootCheck.enabled && target.inventory?.hypervisor?.kvm === "unusable"
        ? `target ${target.name} cannot use KVM: the boot check is emulated and slow`
        : undefined,
    remedy: "Enable virtualization on the target host, or allow the boot check more time.",
  },
];

const rules: Readonly<Record<ConversionType, readonly PreflightRule[]>> = { hot };

/** Who was there when the operator asked and has left since is waited for, as in every later step: the control plane may have restarted. */
function whenAway(agent: AgentRecord, role: string, { createdAt }: ConversionRecord): string | undefined {
  if (agent.revokedAt) return `${role} ${agent.name} was revoked`;
  const { state, at } = agent.presence;
  const wasThere = state === "connected" || (state === "disconnected" && at > Date.parse(createdAt));
  if (!wasThere) return `${role} ${agent.name} is not connected`;
  return agent.inventory ? undefined : `${role} ${agent.name} has not told what it has`;
}

function wholeBytes(conversion: ConversionRecord, source: AgentRecord): number {
  const chosen = source.inventory?.disks.filter((disk) => conversion.disks.includes(disk.name)) ?? [];
  return chosen.reduce((sum, disk) => sum + disk.sizeBytes, 0);
}

function inGiB(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}
