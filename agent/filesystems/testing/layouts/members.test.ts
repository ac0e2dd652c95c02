import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inScratch, MIB } from "../test-image.ts";
import { MD_VERSIONS, MEMBERS, writeMdMember } from "./members.ts";
import { MemoryDisk, Region } from "./region.ts";

const WRITERS = [
  ...MEMBERS.map(({ type, write }) => ({ type, version: undefined, write })),
  ...MD_VERSIONS.map((version) => ({
    type: "linux_raid_member",
    version,
    write: (region: Region) => void writeMdMember(region, version, 1),
  })),
];

test.each(WRITERS)("blkid reads what is written here as $type $version", async ({ type, version, write }) => {
  await inScratch(async (folder) => {
    const disk = new MemoryDisk(Buffer.alloc(64 * MIB), 64 * MIB);
    write(new Region(disk, [{ offset: 0, length: disk.sizeBytes }]));
    const image = join(folder, "image");
    await writeFile(image, disk.bytes());
    const { stdout } = spawnSync("blkid", ["-p", "-o", "export", image], {
      env: { PATH: "/usr/sbin:/sbin" },
      encoding: "utf8",
    });
    expect(stdout).toContain(`\nTYPE=${type}\n`);
    if (version) expect(stdout).toContain(`\nVERSION=${version}`);
  });
});
