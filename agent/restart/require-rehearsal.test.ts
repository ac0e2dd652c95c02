import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { NETWORK_SCRIPTS_FILE } from "#shared/protocol/boot-image.ts";
import type { Inventory } from "#shared/protocol/inventory.ts";
import { readNetworkScripts } from "../boot-image-builder/network-scripts.ts";
import { collectNetwork } from "../inventory/network.ts";
import { machineInLaboratory } from "../inventory/testing/network-laboratory.ts";
import { LocalMachine } from "../machine/machine.ts";
import { requireRehearsal } from "./require-rehearsal.ts";

const CLOUD = "198.51.100.7";
const isRoot = process.getuid?.() === 0;

async function aNetwork(): Promise<Inventory["network"]> {
  const machine = machineInLaboratory({
    setup: "address add 192.0.2.10/24 dev eth0\nroute add default via 192.0.2.1",
    targets: [CLOUD],
    files: { "/etc/network/interfaces": "address 192.0.2.10" },
  });
  return (await collectNetwork(machine, { hosts: [CLOUD], environment: {} })).network;
}

async function anImage(change: (script: string) => string = (script) => script): Promise<string> {
  const imageDir = mkdtempSync(join(tmpdir(), "causeway-image-"));
  onTestFinished(() => rmSync(imageDir, { recursive: true }));
  const scripts = await readNetworkScripts();
  const text = JSON.stringify({ ...scripts, network: change(scripts.network) });
  writeFileSync(join(imageDir, NETWORK_SCRIPTS_FILE), text);
  return imageDir;
}

test.runIf(isRoot)("an image whose scripts set up the source's network passes", async () => {
  const network = await aNetwork();
  await requireRehearsal(new LocalMachine(), { network }, { imageDir: await anImage(), accept: [] });
});

test.runIf(isRoot)(
  "an image whose scripts set up another network is refused with the differences",
  async () => {
    const network = await aNetwork();
    const imageDir = await anImage((script) => script.replace("route) try ip", "route) : ip"));
    await expect(
      requireRehearsal(new LocalMachine(), { network }, { imageDir, accept: [] }),
    ).rejects.toMatchObject({
      name: "NetworkNotRehearsedError",
      retryable: false,
      message: expect.stringContaining(`${CLOUD} would not be reached at all`),
    });
    await requireRehearsal(new LocalMachine(), { network }, { imageDir, accept: ["network-rehearsed"] });
  },
);

test("an image without scripts is refused, because the outcome is unknown", async () => {
  const imageDir = join(tmpdir(), "causeway-no-image");
  const rehearsing = requireRehearsal(
    new LocalMachine(),
    { network: await aNetwork() },
    { imageDir, accept: [] },
  );
  await expect(rehearsing).rejects.toMatchObject({
    name: "NetworkNotRehearsedError",
    message: expect.stringContaining("no scripts"),
  });
});
