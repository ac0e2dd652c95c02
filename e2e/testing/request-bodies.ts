import type { OperationId } from "#shared/protocol/routes.ts";
import { signedImage } from "./signed-image.ts";

/** A body of valid form that names resources that do not exist. */
export const bodies: Partial<Record<OperationId, Record<string, unknown>>> = {
  createEnrolmentToken: { role: "source", lifetimeSeconds: 60 },
  enrol: { token: "t", role: "source", name: "pine", csr: "c" },
  requestEnrolment: {
    name: "pine",
    macAddresses: ["52:54:00:ca:05:e1"],
    disks: [{ name: "sda", sizeBytes: 1 }],
    csr: "c",
  },
  approveEnrolment: { code: "BCDF-GHJK" },
  claimEnrolment: { secret: "s" },
  startConversion: {
    ...{ type: "hot", sourceId: "agt_nobody", targetId: "agt_nobody", format: "raw" },
    ...{ disks: ["vda"], allBlocks: true, bandwidthLimitBytesPerSecond: 1 },
    ...{ bootCheck: true, bootTimeoutSeconds: 60, bootExpect: "ready" },
  },
  checkPreflight: { type: "hot", targetId: "agt_nobody", disks: ["vda"], bootCheck: true },
  addBootImage: { ...signedImage("kernel").body },
  createPlan: {
    sourceId: "agt_nobody",
    intervalSeconds: 3600,
    startAt: "2100-01-01T00:00:00.000Z",
    timeZone: "Europe/Vienna",
    ...{ disks: ["vda"], allBlocks: true, bandwidthLimitBytesPerSecond: 1 },
    bandwidthHours: [{ from: "08:00", to: "18:00", days: ["mon"], bytesPerSecond: 1 }],
    standbyTargetId: "agt_nobody",
    accept: ["disk-in-use"],
  },
  startDrill: {
    targetId: "agt_nobody",
    bootTimeoutSeconds: 60,
    bootExpect: "ready",
    adapt: true,
    proveSeconds: 60,
  },
  startRecovery: { targetId: "agt_nobody", network: "test", machine: { hypervisor: "libvirt" } },
  createCutover: {
    ...{ sourceId: "agt_nobody", targetId: "agt_nobody", mode: "hold", machine: { hypervisor: "libvirt" } },
    windows: [{ firstDay: "2100-01-01", from: "22:00", to: "02:00", timeZone: "UTC" }],
  },
  editCutover: { marginSeconds: 300, mode: "hold" },
  approveCutover: { version: 1 },
  changeMachine: { action: "define", hypervisor: "libvirt", cards: [{ link: { kind: "isolated" } }] },
  editPlan: { intervalSeconds: 7200, timeZone: "UTC", allBlocks: false },
  pruneSource: { planId: "plan_1", dryRun: true },
  startCollection: { dryRun: true },
  startCheck: { whole: true },
  setWebhook: { url: "https://notices.invalid/causeway", secret: "s".repeat(32), allowPrivate: true },
};
