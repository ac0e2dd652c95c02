/**
 * Our judgement of systemd-boot's menu against the real systemd-boot, and the starts of a machine that is
 * armed under it.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  entryFiles,
  SYSTEMD_BOOT_CASES,
  startsIn,
} from "#agent/boot-loaders/return/testing/systemd-boot-cases.ts";
import { ESP_PARTITION_UUID } from "#agent/boot-loaders/testing/fake-machine.ts";
import { type ArmedKind, armedSystemdBoot } from "../testing/armed-systemd-boot.ts";
import { systemdBoot } from "../testing/debian-packages.ts";
import { loaderVariables, rigMachine, type SystemdBootRig } from "../testing/systemd-boot-rig.ts";

/** Every case that starts something does so within a few seconds of what systemd-boot shows. */
const WAIT_SECONDS = 12;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-systemd-boot-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe.each([
  ["252", "bookworm"],
  ["257", "trixie"],
] as const)("systemd-boot %s of Debian %s", (version, suite) => {
  let rig: SystemdBootRig;
  beforeAll(async () => {
    const loader = await systemdBoot(suite, join(dir, `${suite}-packages`));
    rig = { loader, partitionUuid: ESP_PARTITION_UUID };
  });

  test.concurrent.each(SYSTEMD_BOOT_CASES.map((each, index) => [each.name, each, index] as const))(
    "with %s",
    async (_, given, index) => {
      const variables = loaderVariables(given.variables ?? {});
      await using machine = await rigMachine(rig, join(dir, `${version}-${index}`), {
        files: given.files,
        variables,
      });
      expect(await machine.start(WAIT_SECONDS)).toBe(startsIn(given, version));
    },
  );

  test.concurrent.each<[ArmedKind, string, string]>([
    ["systemd-boot", "debian.conf", ""],
    ["systemd-boot", "0123abcd-6.1.0.conf", ""],
    ["systemd-boot", "debian.conf", "default @saved\n"],
    ["boot-next", "debian.conf", ""],
  ])("armed by %s starts the boot environment once, and then %s, with %j", async (kind, name, saved) => {
    // With the last one saved, another one is newer.
    const files = { ...entryFiles("a", name), ...(saved ? entryFiles("b", "newer.conf") : {}) };
    const configuration = { "loader/loader.conf": `timeout 1\n${saved}` };
    const armed = await armedSystemdBoot(kind, { ...files, ...configuration }, name);
    await using machine = await rigMachine(rig, await mkdtemp(join(dir, "armed-")), armed);
    expect(await machine.start(WAIT_SECONDS)).toBe("ours");
    const left = (await machine.variables()).map((each) => each.name);
    expect(left.filter((each) => /^(BootNext|LoaderEntryOneShot)$/.test(each))).toEqual([]);
    expect(await machine.start(WAIT_SECONDS)).toBe("a");
  });

  test.concurrent.each(["vmlinuz", "overlay.cpio"])(
    "armed, but without our %s, starts the original system",
    async (file) => {
      const original = { ...entryFiles("a", "debian.conf"), "loader/loader.conf": "timeout 1\n" };
      const { files, variables } = await armedSystemdBoot("systemd-boot", original, "debian.conf");
      const kept = Object.entries(files).filter(([name]) => !name.endsWith(`/${file}`));
      expect(kept).toHaveLength(Object.keys(files).length - 1);
      const place = await mkdtemp(join(dir, "armed-"));
      await using machine = await rigMachine(rig, place, { files: Object.fromEntries(kept), variables });
      expect(await machine.start(WAIT_SECONDS)).toBe("a");
    },
  );
});
