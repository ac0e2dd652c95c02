import { appendFile, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type StagingRequest, stage, stagedPath, unstage } from "./staging.ts";
import { createTestImage, type TestImage } from "./testing/boot-image.ts";
import { imageOf, JOB_ID, OVERLAY } from "./testing/cold-clone.ts";
import { createFakeMachine, type RootedMachine } from "./testing/fake-machine.ts";
import { withoutWriting } from "./testing/untouched.ts";

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

test("for the firmware, the overlay becomes part of the single file", async () => {
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

/** Fails if the refusal is another one, or if anything was written before it. */
function refused(name: string, change: Partial<StagingRequest> = {}): Promise<void> {
  return withoutWriting(machine, () =>
    expect(stage(machine, request(change))).rejects.toMatchObject({ name }),
  );
}

describe("nothing is written", () => {
  const unified = { form: "unified-kernel" } as const;

  test.each(["vmlinuz", "initrd.zst"])("if %s does not match the manifest", async (name) => {
    await appendFile(join(image.dir, name), "x");
    await refused("BootImageInvalidError");
  });

  test("if the unified kernel image does not match the manifest", async () => {
    const path = join(image.dir, "causeway.efi");
    const bytes = await readFile(path);
    bytes[2000] = (bytes[2000] ?? 0) ^ 1;
    await writeFile(path, bytes);
    await refused("BootImageInvalidError", unified);
  });

  test("if the manifest was changed, or signed with another key", async () => {
    const other = await createTestImage(join(machine.root, "other"));
    await refused("BootImageInvalidError", { publicKey: other.publicKey });
    await appendFile(join(image.dir, "manifest.json"), " ");
    await refused("BootImageInvalidError");
  });

  test("if it is another image than the requested one, or has no such form", async () => {
    await refused("BootImageInvalidError", { imageId: "0".repeat(64) });
    await writeFile(join(image.dir, "boot.wim"), "unsigned");
    await refused("BootImageInvalidError", { form: "windows-ramdisk" });
  });

  test.each(["initrd.zst", "manifest.json", "manifest.json.sig"])("if its %s is missing", async (name) => {
    await rm(join(image.dir, name));
    await refused("BootImageUnavailableError");
  });

  test("if there is no room", async () => {
    machine.freeSpaceBytes = 10_000;
    await refused("DiskFullError");
    await refused("DiskFullError", unified);
  });
});

test("a file that the image's form does not have has no path", async () => {
  const { form, folder } = request();
  expect(() => stagedPath({ form, folder }, "causeway.efi")).toThrow(RangeError);
});

describe("an image that changes while the agent stages it is not used, and unstaging leaves nothing of it", () => {
  const changed = Buffer.from("evil");
  test.each<[string, Partial<StagingRequest>, string, () => unknown]>([
    [
      "while it is copied",
      {},
      "BootImageInvalidError",
      () => {
        const { copy } = machine;
        machine.copy = async (from, to, mode) => {
          await writeFile(machine.at(from), changed);
          return copy(from, to, mode);
        };
      },
    ],
    [
      "on the disk that keeps other bytes",
      {},
      "BootImageInvalidError",
      () => {
        const { copy } = machine;
        machine.copy = async (from, to, mode) => {
          const hash = await copy(from, to, mode);
          await writeFile(machine.at(to), changed);
          return hash;
        };
      },
    ],
    [
      "before it is read",
      { form: "unified-kernel" },
      "BootImageInvalidError",
      () => {
        const { makeFolder } = machine;
        machine.makeFolder = async (path, mode) => {
          await writeFile(join(image.dir, "causeway.efi"), changed);
          await makeFolder(path, mode);
        };
      },
    ],
    [
      "and vanishes before it is read",
      { form: "unified-kernel" },
      "BootImageUnavailableError",
      () => {
        const { makeFolder } = machine;
        machine.makeFolder = async (path, mode) => {
          await rm(join(image.dir, "causeway.efi"), { force: true });
          await makeFolder(path, mode);
        };
      },
    ],
    [
      "in one file, on the disk that keeps other bytes",
      { form: "unified-kernel" },
      "BootImageInvalidError",
      () => {
        const { create } = machine;
        machine.create = (path, _bytes, mode) => create(path, changed, mode);
      },
    ],
  ])("%s", async (_, change, name, interfere) => {
    const { form, folder } = request(change);
    interfere();
    await expect(stage(machine, request(change))).rejects.toMatchObject({ name });
    await unstage(machine, form, folder);
    expect(await machine.list("/boot")).toEqual(["efi"]);
  });
});

test("if there is no room to stage again, the job's own leftover is removed, and another job's stays", async () => {
  const { folder } = await stage(machine, request());
  await stage(machine, request({ jobId: "cv-2", folder: "/boot/causeway/cv-2" }));
  machine.freeSpaceBytes = 10_000;
  await expect(stage(machine, request())).rejects.toMatchObject({ name: "DiskFullError" });
  expect(await machine.status(folder)).toBeUndefined();
  expect(await machine.list("/boot/causeway")).toEqual(["cv-2"]);
});
