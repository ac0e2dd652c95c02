/**
 * A source that is restarted twice, in a new world for each test: the workflow's requests and the machine's
 * reports.
 */
import { beforeEach } from "vitest";
import { aConversion, anInventory } from "#shared/domain/testing/records.ts";
import { untouchedWhereabouts } from "#shared/domain/whereabouts.ts";
import type { BootReceipt } from "#shared/protocol/boot-receipt.ts";
import type { CommandKind } from "#shared/protocol/commands.ts";
import type { AgentSystem } from "#shared/protocol/machine.ts";
import * as agentEvents from "../ingest/agent-events.ts";
import * as abandonConversion from "../tasks/abandon-conversion.ts";
import { run as dispatchCommand, Input } from "../tasks/dispatch-command.ts";
import { aDevice, aReceipt, type TestDevice } from "./device.ts";
import { World } from "./world.ts";

export const conversionId = "cnv_1";
const SHA = "a".repeat(64);
export const BOOT = "boot-environment" as const;
export const ORIGINAL = "original" as const;

export let device: TestDevice;
export let world: World;

beforeEach(async () => {
  device ??= await aDevice();
  world = await World.start();
  const { certificateId, certificatePem } = device;
  await world.enrolled({ source: { heldBy: conversionId, certificateId, certificatePem } });
  const whereabouts = untouchedWhereabouts("2030-01-01T00:00:00.000Z");
  await world.store.conversions.add(aConversion({ type: "remote-cold", whereabouts }));
  await world.workflow.start(conversionId, {});
});

export const conversion = () => world.store.conversions.get(conversionId);
export const whereabouts = async () => {
  const { location, bootState } = (await conversion()).whereabouts ?? {};
  return `${location}, ${bootState}`;
};
export const outcome = (token: string) => world.steps.outcomes.get(token);
export const received = () => world.agents.messagesFor("agt_source").map((one) => one.replace("cnv_1.", ""));

/** A step of the workflow. Its token is the command's kind, with the label if there is one. */
async function ask(
  kind: CommandKind,
  { label, environment, input = {} }: { label?: string; environment?: AgentSystem; input?: object } = {},
): Promise<string> {
  const taskToken = [kind, label].filter(Boolean).join(" ");
  world.steps.waiting.add(taskToken);
  const request = { ownerId: conversionId, agentId: "agt_source", kind, taskToken };
  await dispatchCommand(
    Input.parse({ ...request, label, environment, input: { conversionId, ...input } }),
    world,
  );
  return taskToken;
}
export const asks = {
  stage: () => {
    const bootImage = {
      id: SHA,
      manifestKey: `boot-images/${SHA}/manifest.json`,
      signatureBase64: "c2ln",
      publicKeyPem: "p",
      files: [],
    };
    return ask("stage-boot-image", { input: { bootImage } });
  },
  arm: () => ask("arm-boot", { input: { deadlineSeconds: 600 } }),
  go: () => ask("reboot", { label: BOOT, input: { into: BOOT, bootId: "boot-1" } }),
  report: () => ask("report-boot-state", { environment: BOOT }),
  capture: () =>
    ask("capture-disk", { label: "vda", environment: BOOT, input: { pointId: "rp_1", disk: "vda" } }),
  back: () => ask("reboot", { label: ORIGINAL, environment: BOOT, input: { into: ORIGINAL } }),
  attest: () => ask("attest-boot-state", { input: { requestedBy: "ada" } }),
};

export const abandonWith = (name: string, cause = "") =>
  abandonConversion.run({ conversionId, error: { Error: name, Cause: cause } }, world);

export const event = (fields: object) =>
  agentEvents.run({ agentId: "agt_source", event: { at: "2030-01-01T00:00:01.000Z", ...fields } }, world);
export const answer = (command: string, output: unknown, environment?: AgentSystem) =>
  event({ type: "command-succeeded", commandId: `cnv_1.${command}.1`, output, environment });
export const connect = (environment: AgentSystem, bootId: string) =>
  event({
    type: "agent-connected",
    agentVersion: "1.0.0",
    environment,
    bootId,
    ...(environment === ORIGINAL ? { inventory: anInventory() } : {}),
  });

export const armed = {
  adapter: "grub",
  bootId: "boot-1",
  savedStateKey: "sources/agt_source/boot-states/cnv_1.json",
  savedStateSha256: SHA,
  items: [],
};
export const restored = { restored: true, bootId: "boot-2", items: [], addresses: [] };
export const attested = (receipt: BootReceipt = aReceipt(device)) => answer("attest-boot-state", { receipt });

/** Brings the machine to the point where it is armed and has the command to restart. */
export async function ordered(): Promise<void> {
  await asks.arm();
  await answer("arm-boot", armed);
  await asks.go();
}

/** Brings the machine to the restart, with the step waiting for the boot environment's report. */
export async function restarting(): Promise<void> {
  await ordered();
  await answer("reboot.boot-environment", {});
  await asks.report();
}

/** Brings the machine to the boot environment, which has reported that it restored the boot state. */
export async function away(): Promise<void> {
  await restarting();
  await connect(BOOT, "boot-2");
  await answer("report-boot-state", restored, BOOT);
}
