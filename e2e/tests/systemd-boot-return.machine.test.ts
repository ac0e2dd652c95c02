/** Our judgement of systemd-boot's configuration against the real one. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SYSTEMD_BOOT_CASES } from "#agent/boot-loaders/return/testing/systemd-boot-cases.ts";
import { unpackPackage } from "../testing/debian-packages.ts";
import { makeSystemdBootRig, systemdBootStarts } from "../testing/systemd-boot-rig.ts";

const WAIT_SECONDS = 15;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-systemd-boot-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe.each(["bookworm", "trixie"] as const)("systemd-boot of Debian %s", (suite) => {
  let disk: string;
  beforeAll(async () => {
    const root = await unpackPackage(suite, "systemd-boot-efi", join(dir, `${suite}-packages`));
    const program = join(root, "usr/lib/systemd/boot/efi/systemd-bootx64.efi");
    disk = await makeSystemdBootRig(join(dir, suite), program);
  });

  test.each(SYSTEMD_BOOT_CASES.map((each) => [each.name, each] as const))("with %s", async (_, each) => {
    expect(await systemdBootStarts(disk, each, { waitSeconds: WAIT_SECONDS })).toBe(each.starts);
  });
});
