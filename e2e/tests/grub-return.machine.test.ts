/** Our judgement of GRUB's configuration against the real GRUB. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GRUB_CASES } from "#agent/boot-loaders/return/testing/grub-cases.ts";
import { grubEnvironmentBlock } from "#agent/boot-loaders/testing/grub-installation.ts";
import { grubModules } from "../testing/debian-packages.ts";
import { type GrubRig, makeGrubRig, startGrub } from "../testing/grub-rig.ts";

/** Every case that starts something does so within a second or two of what GRUB shows. */
const WAIT_SECONDS = 12;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-grub-return-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe.each(["bookworm", "trixie"] as const)("GRUB of Debian %s", (suite) => {
  let rig: GrubRig;
  beforeAll(async () => {
    rig = await makeGrubRig(join(dir, suite), await grubModules(suite, join(dir, `${suite}-packages`)));
  });

  test.concurrent.each(GRUB_CASES.map((each) => [each.name, each] as const))(
    "with %s",
    async (_, { files, environment, starts }) => {
      const grubenv: Record<string, Buffer> = environment
        ? { grubenv: grubEnvironmentBlock(environment) }
        : {};
      expect(await startGrub(rig, { ...grubenv, ...files }, { waitSeconds: WAIT_SECONDS })).toBe(starts);
    },
  );
});
