import { appendFile, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type StagingRequest, stage, unstage } from "./staging.ts";
import { createTestImage, type TestImage } from "./testing/boot-image.ts";
import { imageOf, JOB_ID, OVERLAY } from "./testing/cold-clone.ts";
import { createFakeMachine, type RootedMachine } from "./testing/fake-machine.ts";

let machine: RootedMachine;
let image: TestImage;
beforeEach(async () => {
  machine = await createFakeMachine({ firmware: "uefi" });
  image = await imageOf(machine);
});
afterEach(() => rm(machine.root, { recursive: true, force: true }));

function request(change: Partial<StagingRequest> = {}): StagingRequest {
  return {
    jobId: JOB_ID,
    form: "kernel-and-initrd",
    folder: `/boot/causeway/${JOB_ID}`,
    imageDir: image.dir,
    imageId: image.id,
    publicKey: image.publicKey,
    overlay: OVERLAY,
    kernelArguments: [],
    ...change,
  };
}

const modeOf = async (path: string) => (await stat(machine.at(path))).mode & 0o777;

test("kernel, RAM disk and overlay are staged, and only root may read what contains the identity", async () => {
  const staged = await stage(machine, request({ kernelArguments: ["a=1", "b"] }));
  expect(staged.commandLine).toBe("console=tty0 panic=10 a=1 b");
  expect(await machine.list(staged.folder)).toEqual(["initrd.zst", "overlay.cpio", "vmlinuz"]);
  expect(await readFile(machine.at(`${staged.folder}/vmlinuz`))).toEqual(
    await readFile(join(image.dir, "vmlinuz")),
  );
  expect(await modeOf(`${staged.folder}/overlay.cpio`)).toBe(0o600);
  expect(await modeOf(staged.folder)).toBe(0o700);
});

test("for the firmware the overlay becomes a part of the one file", async () => {
  const staged = await stage(machine, request({ form: "unified-kernel" }));
  const bytes = await readFile(machine.at(`${staged.folder}/causeway.efi`));
  expect(bytes.includes(Buffer.concat([Buffer.alloc(9000, "initrd "), OVERLAY]))).toBe(true);
  expect(await modeOf(`${staged.folder}/causeway.efi`)).toBe(0o600);
});

test("staging again gives the same result, and unstaging leaves nothing, any number of times", async () => {
  const { folder } = await stage(machine, request());
  await stage(machine, request());
  expect(await machine.list(folder)).toHaveLength(3);
  await unstage(machine, "kernel-and-initrd", folder);
  expect(await machine.list("/boot")).toEqual(["efi"]);
  await unstage(machine, "kernel-and-initrd", folder);
});

test("another job's image stays where it is", async () => {
  const { folder } = await stage(machine, request());
  await stage(machine, request({ jobId: "cv-2", folder: "/boot/causeway/cv-2" }));
  await unstage(machine, "kernel-and-initrd", folder);
  expect(await machine.list("/boot/causeway")).toEqual(["cv-2"]);
});

describe("nothing is written", () => {
  afterEach(async () => expect(await machine.list("/boot")).toEqual(["efi"]));

  test.each(["vmlinuz", "initrd.zst"])("if %s does not match the manifest", async (name) => {
    await appendFile(join(image.dir, name), "x");
    await expect(stage(machine, request())).rejects.toMatchObject({ name: "BootImageInvalidError" });
  });

  test("if the unified kernel image does not match the manifest", async () => {
    const path = join(image.dir, "causeway.efi");
    const bytes = await readFile(path);
    bytes[2000] = (bytes[2000] ?? 0) ^ 1;
    await writeFile(path, bytes);
    await expect(stage(machine, request({ form: "unified-kernel" }))).rejects.toMatchObject({
      name: "BootImageInvalidError",
    });
  });

  test("if the manifest was changed, or signed with another key", async () => {
    const other = await createTestImage(join(machine.root, "other"));
    await expect(stage(machine, request({ publicKey: other.publicKey }))).rejects.toMatchObject({
      name: "BootImageInvalidError",
    });
    await appendFile(join(image.dir, "manifest.json"), " ");
    await expect(stage(machine, request())).rejects.toMatchObject({ name: "BootImageInvalidError" });
  });

  test("if it is another image than the requested one", async () => {
    await expect(stage(machine, request({ imageId: "0".repeat(64) }))).rejects.toMatchObject({
      name: "BootImageInvalidError",
    });
  });

  test("if a part of it is missing", async () => {
    await rm(join(image.dir, "initrd.zst"));
    await expect(stage(machine, request())).rejects.toMatchObject({ name: "BootImageUnavailableError" });
  });

  test("if there is no room", async () => {
    machine.freeSpaceBytes = 10_000;
    await expect(stage(machine, request())).rejects.toMatchObject({ name: "DiskFullError" });
  });
});
