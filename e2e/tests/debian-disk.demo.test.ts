import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { run } from "../machines/disk/command.ts";
import { copyDisk } from "../machines/disk/copy-disk.ts";
import { buildDebianDisk } from "../machines/disk/debian-disk.ts";
import { cacheDir } from "../machines/machine-site.ts";
import { Site } from "../testing/site.ts";

const DISK_BYTES = 2 * 1024 ** 3;

test("an unused Debian disk is converted while its host runs: only used blocks are read, and the copy is equal and boots", async () => {
  const { path } = await buildDebianDisk({ firmware: "uefi", sizeBytes: DISK_BYTES, cacheDir, log() {} });
  const dir = await mkdtemp(join(tmpdir(), "causeway-debian-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const disk = join(dir, "sda.raw");
  await copyDisk(path, disk);
  await using site = await Site.start({ disks: {}, otherDisks: { sda: disk } });
  const id = await site.convert("sda", { format: "qcow2", bootCheck: true });
  const ended = await site.ended(id, 800);
  expect(ended).toMatchObject({ state: "completed", result: { bootCheck: { verdict: "booted" } } });
  expect(ended.result?.bytesRead).toBeLessThan(DISK_BYTES / 2);
  await run("qemu-img", ["compare", "-f", "raw", "-F", "qcow2", disk, ended.result?.disks[0]?.path ?? ""]);
});
