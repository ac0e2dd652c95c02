/**
 * A machine that cannot be armed: started from the CD by hand, approved by the code on its screen, converted,
 * and restarted.
 */
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import * as z from "zod";
import type { Conversion, Source } from "#shared/protocol/resources.ts";
import { cachedBootImage } from "../machines/cold-site.ts";
import { HOST_FROM_GUEST, SourceMachine } from "../machines/source-machine.ts";
import { firstDifference } from "../site/compare.ts";
import { Installation } from "../site/installation.ts";
import { writeTestDisk } from "../testing/disk-content.ts";
import { until } from "../testing/until.ts";

let dir: string;
let installation: Installation;
let machine: SourceMachine | undefined;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-cd-"));
  installation = new Installation(dir);
  await installation.up();
  await installation.enrol("target", "target", ["--images", join(dir, "images")]);
});
afterEach(async () => {
  await machine?.cutPower();
  await installation.stop();
  await rm(dir, { recursive: true, force: true });
});

const Approved = z.object({ sourceId: z.string(), machine: z.object({ macAddresses: z.array(z.string()) }) });

/** The source with this id, once it is ready. */
function ready(id: string): Promise<Source> {
  return until(`${id} to be cold cloning ready`, async () => {
    const { items } = (await installation.json(["sources"])) as { items: Source[] };
    return items.find((source) => source.id === id && source.coldCloningReady);
  });
}

test.each(["bios", "uefi"] as const)(
  "on %s, a machine started from the CD is approved by its code, converted, and not written to",
  async (firmware) => {
    const disk = join(dir, "disk.raw");
    await writeTestDisk(disk, 64 * 2 ** 20, firmware);
    const before = join(dir, "before.raw");
    await copyFile(disk, before);
    const cd = join(await cachedBootImage(() => {}), "causeway.iso");
    machine = new SourceMachine({ disks: [disk], firmware, cd, workDir: join(dir, "machine") });
    await machine.powerOn();

    await machine.waitFor(/Type the address of the control plane/);
    const url = new URL(installation.url);
    url.hostname = HOST_FROM_GUEST;
    machine.type(url.origin);
    const shown = await machine.waitFor(/causeway approve [A-Z]{4}-[A-Z]{4}/);
    const code = machine.console.slice(shown - 9, shown);
    const { sourceId, ...request } = Approved.parse(await installation.json(["approve", code]));
    expect(request.machine.macAddresses).toEqual(["52:54:00:ca:05:e1"]);
    await machine.waitFor(/Approved: cold cloning ready/, shown);
    const { inventory } = await ready(sourceId);
    expect(inventory?.firmware.kind).toBe(firmware);
    expect(inventory?.disks.map(({ name, readOnly }) => ({ name, readOnly }))).toEqual([
      { name: "sda", readOnly: true },
    ]);

    const { id: targetId } = await installation.target();
    const words = ["convert", sourceId, "--type", "manual-cold", "--target", targetId, "--format", "raw"];
    const ended = (await installation.json([...words, "--wait"])) as Conversion;
    expect(ended.state).toBe("completed");
    expect(await firstDifference(before, ended.result?.disks[0]?.path ?? "")).toBeUndefined();
    await machine.waitFor(/The disks of this computer are captured/, shown);
    machine.type("restart");
    await machine.waitFor(/Restarting\./, shown);
    await machine.cutPower();
    expect(await firstDifference(before, disk)).toBeUndefined();
  },
);
