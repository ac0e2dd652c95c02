import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type ColdSite,
  copyAsRead,
  isRunning,
  openColdSite,
  startColdClone,
  untilConversion,
} from "./cold-clone.ts";
import { firstDifference } from "./compare.ts";

describe.each(["bios", "uefi"] as const)("a real Debian machine on %s", (firmware) => {
  let dir: string;
  let site: ColdSite;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "causeway-cold-"));
    site = await openColdSite({ dir, firmware, log: () => {} });
  });
  afterAll(async () => {
    await site?.machine.cutPower();
    await site?.installation.stop();
    await rm(dir, { recursive: true, force: true });
  });

  test("is cloned through the boot environment, comes back with its boot state as it was, and its clone boots", async () => {
    const { id } = await startColdClone(site, "--boot-check", "--all-blocks");
    await untilConversion(site, id, isRunning("capture"));
    // Nothing writes to the disk in the boot environment: this is what is read.
    const asRead = join(dir, "as-read.raw");
    await copyAsRead(site, asRead);
    const ended = await untilConversion(site, id, ({ endedAt }) => endedAt !== undefined);
    expect(ended).toMatchObject({
      state: "completed",
      machine: { is: "original", bootState: "confirmed" },
      result: { bootCheck: { verdict: "booted" } },
    });
    expect(await firstDifference(asRead, ended.result?.disks[0]?.path ?? "")).toBeUndefined();
    const receipt = (await site.installation.json(["receipt", id])) as { content: { equal: boolean } };
    expect(receipt.content.equal).toBe(true);
  });
});
