import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BootImageInvalidError } from "#shared/errors.ts";
import { aManifest } from "../boot-image/testing/a-manifest.ts";
import { BrowseImageUnusableError } from "./errors.ts";
import { openGuestImage } from "./guest-image.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "guest-image-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function write(driver: string, kernels = ["vmlinuz"]): Promise<void> {
  const manifest = aManifest({
    commandLine: "console=ttyS0",
    drivers: [{ name: driver, kind: "bus", builtIn: false }],
    files: kernels.map((path) => ({ path, sizeBytes: 3, sha256: "0".repeat(64) })),
  });
  await writeFile(join(folder, "manifest.json"), JSON.stringify(manifest));
}

test("a boot image with the channel's driver browses, in a mode that its kernel's parameters choose", async () => {
  await write("virtio_console");
  const image = await openGuestImage(folder, "browse");
  expect(image).toMatchObject({
    kernel: join(folder, "vmlinuz"),
    memoryMiB: 1024,
    commandLine: "console=ttyS0 causeway.browse=1 causeway.deadline=0",
  });
  await writeFile(join(folder, "vmlinuz"), "abc");
  await expect(image.verify("kernel", join(folder, "vmlinuz"))).rejects.toThrow(BootImageInvalidError);
});

test("a guest starts the kernel that does not unpack itself, where the boot image has it", async () => {
  await write("virtio_console", ["vmlinuz", "vmlinux.zst"]);
  const image = await openGuestImage(folder, "adapt");
  expect(image.kernel).toBe(join(folder, "vmlinux.zst"));
  await writeFile(image.kernel, "abc");
  await expect(image.verify("kernel", image.kernel)).rejects.toThrow("vmlinux.zst does not match");
});

test("a guest that adapts runs the system's programs at the same addresses each time, so they are translated once", async () => {
  await write("virtio_console");
  expect(await openGuestImage(folder, "adapt")).toMatchObject({
    commandLine: "console=ttyS0 causeway.adapt=1 causeway.deadline=0 norandmaps",
  });
});

test("a boot image from before such guests, and a folder without one, are refused with what to do", async () => {
  await write("virtio_net");
  const refusal = { name: "BrowseImageUnusableError", hint: expect.stringContaining("npm run boot-image") };
  await expect(openGuestImage(folder, "browse")).rejects.toMatchObject({
    ...refusal,
    message: expect.stringContaining("older"),
  });
  await expect(openGuestImage(join(folder, "none"), "browse")).rejects.toMatchObject(refusal);
  await writeFile(join(folder, "manifest.json"), "{");
  await expect(openGuestImage(folder, "browse")).rejects.toThrow(BrowseImageUnusableError);
});
