/**
 * What the real GRUB does with our menu entry if the image cannot be loaded, without a person to press a key.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { formatGrubEntry, grubEntryId } from "#agent/boot-loaders/grub-entry.ts";
import { grubEnvironmentBlock } from "#agent/boot-loaders/testing/grub-installation.ts";
import { addFiles } from "../machines/disk/add-files.ts";
import { run } from "../machines/disk/command.ts";
import { copyDisk } from "../machines/disk/copy-disk.ts";
import { debianMachine } from "../machines/machine-site.ts";
import { SourceMachine } from "../machines/source-machine.ts";

const JOB_ID = "0a1b2c3d";
const ENVIRONMENT = "/boot/grub/grubenv";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-grub-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test.each(["bios", "uefi"] as const)(
  "on %s, the machine restarts into its original system",
  async (firmware) => {
    const { paths, fileSystems } = await debianMachine({ firmware, log() {} });
    const disk = join(dir, "disk.raw");
    await copyDisk(paths[0] ?? "", disk);
    const rootOffsetBytes = fileSystems.find(({ mountPoint }) => mountPoint === "/")?.offsetBytes ?? 0;
    const root = `${disk}?offset=${rootOffsetBytes}`;
    const uuid = /UUID:\s+(\S+)/.exec(await run("debugfs", ["-R", "stats -h", root]))?.[1] ?? "";
    const staged = `/boot/causeway/${JOB_ID}`;
    const entry = formatGrubEntry({
      jobId: JOB_ID,
      fileSystemUuid: uuid,
      modules: ["part_gpt", "ext2"],
      kernelPath: `${staged}/vmlinuz`,
      initrdPaths: [`${staged}/initrd.zst`],
      commandLine: "console=ttyS0,115200",
    });
    await writeFile(join(dir, "custom.cfg"), entry);
    await writeFile(join(dir, "grubenv"), grubEnvironmentBlock({ next_entry: grubEntryId(JOB_ID) }));
    await run("debugfs", ["-w", "-R", `rm ${ENVIRONMENT}`, root]);
    // There is no kernel.
    await addFiles(disk, rootOffsetBytes, [
      { path: "/boot/grub/custom.cfg", source: join(dir, "custom.cfg"), mode: 0o644 },
      { path: ENVIRONMENT, source: join(dir, "grubenv"), mode: 0o644 },
      // Debian rewrites the environment at each start, which the power cut would interrupt.
      { path: "/etc/systemd/system/grub-common.service", linkTo: "/dev/null" },
    ]);
    const machine = new SourceMachine({ disks: [disk], firmware, workDir: join(dir, "machine") });
    try {
      await machine.powerOn();
      await machine.waitFor(/debian-source login:/);
    } finally {
      await machine.cutPower();
    }
    // GRUB itself disarmed it, so it had tried our entry before.
    expect(await run("debugfs", ["-R", `cat ${ENVIRONMENT}`, root])).toMatch(/^next_entry=$/m);
  },
);
