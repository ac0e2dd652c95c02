/** For tests: a source with GRUB, and the executors of its agent. */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { anInventory } from "#shared/domain/testing/records.ts";
import type { BootImageReference } from "#shared/protocol/boot-image.ts";
import type { CommandInput } from "#shared/protocol/commands.ts";
import type { Inventory } from "#shared/protocol/inventory.ts";
import type { RuleName } from "#shared/protocol/rule-names.ts";
import { createAgentKey } from "#shared/protocol/testing/agent-key.ts";
import { linuxAdapters } from "../../boot-loaders/linux-loaders.ts";
import { createTestImage } from "../../boot-loaders/testing/boot-image.ts";
import { createFakeMachine, type FakeMachineOptions } from "../../boot-loaders/testing/fake-machine.ts";
import { installGrub } from "../../boot-loaders/testing/grub-installation.ts";
import { recordKeyOf } from "../../commands/agent-records.ts";
import { executionContext } from "../../commands/testing/execution-context.ts";
import { EFI_VARIABLES } from "../../machine/system.ts";
import { MemoryStore } from "../../store/testing/memory-store.ts";
import { BootImageCache } from "../boot-image-cache.ts";
import { coldExecutors, disarm } from "../cold-executors.ts";
import { ImageTrust } from "../image-trust.ts";
import { SavedStates } from "../saved-states.ts";
import { storeImage } from "./stored-image.ts";

const context = executionContext();
export const conversionId = "cnv_1";
const enrolment = {
  agentId: "agt_1",
  mqttEndpoint: "mqtt.example.com",
  credentialsEndpoint: "credentials.example.com",
  roleAlias: "source",
  region: "eu-central-1",
  bucket: "bucket",
  kmsKeyId: "key",
  commandKeyPem: "public key",
  apiUrl: "https://api.example.com",
};

/** A source with GRUB whose agent got the image's key at enrolment. */
export async function aSourceWithGrub(
  { firmware }: FakeMachineOptions = { firmware: "bios" },
  { secureBootSigned = false, network }: { secureBootSigned?: boolean; network?: Inventory["network"] } = {},
) {
  const machine = await createFakeMachine({ firmware });
  onTestFinished(() => rmSync(machine.root, { recursive: true, force: true }));
  await installGrub(machine);
  const testImage = await createTestImage(join(machine.root, "image"), { secureBootSigned });
  const store = new MemoryStore();
  const image = await storeImage(store, testImage);
  const dataDir = mkdtempSync(join(tmpdir(), "causeway-agent-"));
  onTestFinished(() => rmSync(dataDir, { recursive: true }));
  const trust = new ImageTrust(dataDir, image.publicKeyPem);
  const images = new BootImageCache({
    ...{ folder: join(machine.root, "run/boot-images"), store, machine },
    trust: (key) => trust.require(key),
  });
  const { keyPem, certificatePem } = await createAgentKey();
  const recordKey = recordKeyOf({ keyPem });
  const states = new SavedStates({ dataDir, store, sourceId: "agt_1", recordKey });
  const prepared: object[] = [];
  const executors = coldExecutors({
    machine,
    slowMachine: machine,
    adapters: linuxAdapters(machine),
    images,
    states,
    identity: { role: "source", keyPem, enrolment: { ...enrolment, certificatePem } },
    agentVersion: "0.0.0",
    variables: {},
    prepareReturn: async (term, marker) => {
      prepared.push({ term, ...marker });
      return { services: ["db.service", "db.socket"], notice: "FENCED\n" };
    },
    takeInventory: async () => anInventory({ bootId: "boot-1", ...(network && { network }) }),
    now: () => new Date("2030-01-01T00:00:00Z"),
  });
  return {
    machine,
    dataDir,
    states,
    store,
    image,
    imageDir: images.folderOf(image.id),
    stage: (bootImage: BootImageReference, accept: RuleName[] = []) =>
      executors["stage-boot-image"]?.({ conversionId, bootImage, accept, fenced: false }, context),
    arm: (
      accept: RuleName[] = [],
      signal = context.signal,
      cutover: Partial<CommandInput<"arm-boot">> = {},
    ) =>
      executors["arm-boot"]?.(
        { conversionId, deadlineSeconds: 600, accept, ...cutover },
        { ...context, signal },
      ),
    /** What its own system was asked to look for at its return. */
    prepared,
    attest: (machineChanged = context.machineChanged) =>
      executors["attest-boot-state"]?.(
        { conversionId, requestedBy: "somebody" },
        { ...context, machineChanged },
      ),
    disarm: (machineChanged = context.machineChanged) =>
      disarm({ machine, states }, conversionId, machineChanged),
    /** Every file that a start of the machine depends on, with its hash. */
    bootState: () => ({ ...hashes(machine.at("/boot")), ...hashes(machine.at(EFI_VARIABLES)) }),
  };
}

export function hashes(folder: string): Record<string, string> {
  if (!existsSync(folder)) return {};
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    entries
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .map((path) => [path, createHash("sha256").update(readFileSync(path)).digest("hex")]),
  );
}

export type Source = Awaited<ReturnType<typeof aSourceWithGrub>>;
