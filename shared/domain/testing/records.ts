/** Records for tests: an ordinary source, target and conversion, each part of which a test may replace. */
import type { ControlPlaneReach, Inventory, NetworkPath } from "../../protocol/inventory.ts";
import type { AgentRecord } from "../agent.ts";
import type { BootImageRecord } from "../boot-image.ts";
import type { ConversionRecord } from "../conversion.ts";
import type { DrillRecord } from "../drill.ts";
import type { RecoveryRecord } from "../recovery.ts";

const AT = "2030-01-01T00:00:00.000Z";

type Disk = Inventory["disks"][number];

export function aDisk(name: string, change: Partial<Disk> = {}): Disk {
  return {
    name,
    path: `/dev/${name}`,
    kind: "device",
    sizeBytes: 64 * 1024 * 1024,
    logicalSectorBytes: 512,
    physicalSectorBytes: 512,
    transport: "virtio",
    rotational: false,
    readOnly: false,
    partitionTable: "gpt",
    partitions: [],
    mountPoints: [],
    inUse: false,
    problems: [],
    ...change,
  };
}

export function anInventory(change: Partial<Inventory> = {}): Inventory {
  return {
    takenAt: AT,
    hostname: "pine",
    bootId: "unknown",
    operatingSystem: {
      family: "linux",
      id: "debian",
      version: "12",
      name: "Debian GNU/Linux 12",
      kernel: "6.1.0",
      architecture: "x86_64",
    },
    firmware: { kind: "bios", secureBoot: "unsupported" },
    bootLoader: { kind: "grub", entries: [] },
    cpu: { count: 2, model: "unknown", flags: [] },
    memoryBytes: 4 * 1024 ** 3,
    virtualization: "none",
    disks: [aDisk("vda")],
    volumeGroups: [],
    raidArrays: [],
    return: {
      bootLoader: { verdict: "unattended" },
      nextStart: { verdict: "unattended" },
      volumes: { verdict: "unattended" },
      triedBefore: [],
    },
    agentStart: "at-boot",
    network: { interfaces: [], routes: [], dns: { servers: [], search: [] } },
    missingTools: [],
    ...change,
  };
}

/** The control plane by one host, as a machine at 192.0.2.10 with a router reaches it. */
export function aReach(
  path: Partial<NetworkPath> = {},
  change: Partial<ControlPlaneReach> = {},
): ControlPlaneReach {
  return {
    paths: [
      {
        to: "mqtt.example.com",
        use: "control-plane",
        address: "198.51.100.1",
        device: "eth0",
        gateway: "192.0.2.1",
        source: "192.0.2.10",
        destination: "default",
        ...path,
      },
    ],
    unreached: [],
    hosts: [],
    canRehearse: true,
    obstacles: [],
    ...change,
  };
}

export function aSource(change: Partial<AgentRecord> = {}): AgentRecord {
  return {
    id: "agt_source",
    role: "source",
    name: "pine",
    certificateId: "c".repeat(64),
    enrolledAt: AT,
    presence: { state: "connected", sessionId: "s1", at: Date.parse(AT) },
    environment: "original",
    enrolledFrom: "original",
    inventory: anInventory(),
    version: 0,
    ...change,
  };
}

export function aTarget(change: Partial<AgentRecord> = {}): AgentRecord {
  const hypervisor = { kind: "qemu", version: "8.2.0", uefiFirmware: true };
  const images = { path: "/images", freeBytes: 1024 ** 4 };
  return aSource({
    id: "agt_target",
    role: "target",
    name: "oak",
    certificateId: "d".repeat(64),
    inventory: anInventory({ hostname: "oak", hypervisor, images, isolatedChecks: {} }),
    ...change,
  });
}

export function aConversion(change: Partial<ConversionRecord> = {}): ConversionRecord {
  return {
    id: "cnv_1",
    type: "hot",
    sourceId: "agt_source",
    targetId: "agt_target",
    format: "qcow2",
    disks: ["vda"],
    allBlocks: false,
    bootCheck: { enabled: true, timeoutSeconds: 600, memoryMiB: 1024 },
    firmware: "bios",
    deadlineSeconds: 1800,
    pointId: "rp_1",
    state: "running",
    accept: [],
    requestedBy: "ada",
    createdAt: AT,
    version: 0,
    ...change,
  };
}

export function aDrill(change: Partial<DrillRecord> = {}): DrillRecord {
  return {
    id: "drl_1",
    pointId: "rp_1",
    sourceId: "agt_source",
    targetId: "agt_target",
    disks: [{ name: "vda", sizeBytes: 64 }],
    firmware: "bios",
    memoryMiB: 1024,
    bootTimeoutSeconds: 600,
    state: "running",
    requestedBy: "ada",
    createdAt: AT,
    version: 0,
    ...change,
  };
}

export function aRecovery(change: Partial<RecoveryRecord> = {}): RecoveryRecord {
  const shape: RecoveryRecord["planned"]["shape"] = {
    ...{ cpuCount: 2, memoryMiB: 4096, firmware: "bios", diskBus: "sata", cardModel: "virtio", clock: "utc" },
    ...{ acceleration: "if-offered", cards: [{ address: "52:54:00:00:00:01", link: { kind: "isolated" } }] },
  };
  return {
    ...{ id: "rcv_1", sourceId: "agt_source", pointId: "rp_1", pointCreatedAt: AT, targetId: "agt_target" },
    ...{ network: "test", disks: [{ name: "vda", sizeBytes: 64 }], firmware: "bios" },
    planned: {
      ...{ ownerId: "rcv_1", sourceId: "agt_source", pointId: "rp_1", hypervisor: "libvirt", name: "pine-1" },
      ...{ title: "pine", shape, systemDisks: [] },
    },
    ...{ check: { kind: "console" }, answerTimeoutSeconds: 900, state: "running", requestedBy: "ada" },
    ...{ createdAt: AT, version: 0, ...change },
  };
}

export function aBootImage(change: Partial<BootImageRecord> = {}): BootImageRecord {
  const file = (path: string, sizeBytes: number) => ({ path, sizeBytes, sha256: "b".repeat(64) });
  return {
    id: "a".repeat(64),
    state: "complete",
    causewayVersion: "0.1.0",
    kernelRelease: "6.1.0-amd64",
    architecture: "x86_64",
    system: "linux",
    secureBootSigned: false,
    memoryMiB: 1024,
    files: [file("vmlinuz", 8e6), file("initrd.zst", 60e6), file("causeway.efi", 70e6)],
    drivers: [
      { name: "virtio_net" },
      { name: "virtio_blk" },
      { name: "bnx2", lacksFirmware: "firmware-bnx2" },
    ],
    signedBy: "c".repeat(64),
    createdBy: "ada",
    createdAt: AT,
    completedAt: AT,
    manifestBytes: 1000,
    signatureBase64: "c2ln",
    publicKeyPem: "PEM",
    version: 0,
    ...change,
  };
}
