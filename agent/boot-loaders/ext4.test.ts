import { mkdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inScratch, isRoot, MIB, tool } from "../filesystems/testing/test-image.ts";
import { LocalBootMachine } from "../machine/boot-machine.ts";
import { Grub } from "./grub.ts";
import {
  decodeGrubEnvironment,
  encodeGrubEnvironment,
  GRUB_ENVIRONMENT_BYTES,
  grubVariable,
  withGrubVariable,
} from "./grub-environment.ts";
import { restoreBootState } from "./restore.ts";
import { imageOf, JOB_ID, probeUsable, saveState, stageAndArm } from "./testing/cold-clone.ts";
import { BOOT_UUID, createFakeMachine } from "./testing/fake-machine.ts";
import { installGrub } from "./testing/grub-installation.ts";
import { VolumeMap } from "./volumes.ts";

const BLOCK_BYTES = 1024;

/** As GRUB does it: notes where the blocks of the file are, and writes there, past the file system. */
async function grubenvBlock(image: string): Promise<{ offset: number; bytes: Buffer }> {
  const block = Number(tool("debugfs", "-R", "blocks /grub/grubenv", image).trim().split(/\s+/)[0]);
  const offset = block * BLOCK_BYTES;
  return { offset, bytes: (await readFile(image)).subarray(offset, offset + BLOCK_BYTES) };
}

test.runIf(isRoot)(
  "on a real ext4, grubenv keeps its block, GRUB's own write is undone through another mount point, and no identity stays on the disk",
  () =>
    inScratch(async (folder) => {
      const image = join(folder, "boot.img");
      await writeFile(image, Buffer.alloc(0));
      await truncate(image, 8 * MIB);
      tool("mkfs.ext4", "-q", "-b", String(BLOCK_BYTES), "-U", BOOT_UUID, image);
      const machine = await createFakeMachine({ firmware: "bios", separateBoot: true });
      const boot = machine.at("/boot");
      try {
        const adapter = new Grub(machine);
        tool("mount", "-o", "loop", image, boot);
        let saved: Awaited<ReturnType<typeof saveState>>;
        try {
          await installGrub(machine, { custom: "# mine\n" });
          const loader = await probeUsable(adapter);
          saved = await saveState(adapter);
          tool("sync", "-f", boot);
          const before = await grubenvBlock(image);
          await stageAndArm(machine, { adapter, saved, loader, image: await imageOf(machine) });
          tool("umount", boot);
          const armed = await grubenvBlock(image);
          expect(armed.offset).toBe(before.offset);
          const block = decodeGrubEnvironment(armed.bytes);
          expect(block && grubVariable(block, "next_entry")).toBe(`causeway-${JOB_ID}`);
          expect((await readFile(image)).includes("identity identity")).toBe(true);
          await writeAt(image, armed.offset, emptied(armed.bytes));
        } finally {
          await unmount(boot);
        }
        const elsewhere = join(folder, "elsewhere");
        await mkdir(elsewhere);
        tool("mount", "-o", "loop", image, elsewhere);
        try {
          const volumes = VolumeMap.of({ [BOOT_UUID]: elsewhere });
          const attestation = await restoreBootState(saved, new LocalBootMachine(), volumes);
          expect(attestation.outcome).toBe("equal");
          expect(attestation.items.map(({ name }) => name)).toContain("/boot/grub/custom.cfg");
          expect(await readFile(join(elsewhere, "grub/custom.cfg"), "utf8")).toBe("# mine\n");
          expect((await stat(join(elsewhere, "grub/custom.cfg"))).mode & 0o777).toBe(0o640);
        } finally {
          await unmount(elsewhere);
        }
        expect((await readFile(image)).includes("identity identity")).toBe(false);
        // Throws if it finds anything.
        tool("e2fsck", "-f", "-n", image);
      } finally {
        await rm(machine.root, { recursive: true, force: true });
      }
    }),
);

/** As GRUB does it when it starts the entry. */
function emptied(block: Buffer): Buffer {
  const environment = decodeGrubEnvironment(block.subarray(0, GRUB_ENVIRONMENT_BYTES));
  if (!environment) throw new Error("no environment block");
  const bytes = encodeGrubEnvironment(withGrubVariable(environment, "next_entry", ""));
  return Buffer.concat([bytes, block.subarray(bytes.length)]);
}

async function writeAt(path: string, offset: number, bytes: Buffer): Promise<void> {
  await new LocalBootMachine().overwrite(path, bytes.subarray(0, BLOCK_BYTES), offset);
}

async function unmount(folder: string): Promise<void> {
  try {
    tool("umount", folder);
  } catch {
    // It was no longer mounted.
  }
}
