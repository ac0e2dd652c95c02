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

async function write(...kernels: string[]): Promise<void> {
  const manifest = aManifest({
    commandLine: "console=ttyS0",
    files: kernels.map((path) => ({ path, sizeBytes: 3, sha256: "0".repeat(64) })),
  });
  await writeFile(join(folder, "manifest.json"), JSON.stringify(manifest));
}

test("a guest starts the kernel that does not unpack itself, in a mode that its parameters choose", async () => {
  await write("vmlinuz", "vmlinux.zst");
  const image = await openGuestImage(folder, "browse");
  expect(image).toMatchObject({
    kernel: join(folder, "vmlinux.zst"),
    memoryMiB: 1024,
    commandLine: "console=ttyS0 causeway.browse=1 causeway.deadline=0",
  });
  await writeFile(image.kernel, "abc");
  const verifying = image.verify("kernel", image.kernel);
  await expect(verifying).rejects.toThrow(BootImageInvalidError);
  await expect(verifying).rejects.toThrow("vmlinux.zst does not match");
});

test("a guest that adapts runs the system's programs at the same addresses each time, so they are translated once", async () => {
  await write("vmlinux.zst");
  expect(await openGuestImage(folder, "adapt")).toMatchObject({
    commandLine: "console=ttyS0 causeway.adapt=1 causeway.deadline=0 norandmaps",
  });
});

test("a boot image from before such guests, and a folder without one, are refused with what to do", async () => {
  await write("vmlinuz");
  const refusal = { name: "BrowseImageUnusableError", hint: expect.stringContaining("npm run boot-image") };
  await expect(openGuestImage(folder, "browse")).rejects.toMatchObject({
    ...refusal,
    message: expect.stringContaining("older"),
  });
  await expect(openGuestImage(join(folder, "none"), "browse")).rejects.toMatchObject(refusal);
  await writeFile(join(folder, "manifest.json"), "{");
  await expect(openGuestImage(folder, "browse")).rejects.toThrow(BrowseImageUnusableError);
});
