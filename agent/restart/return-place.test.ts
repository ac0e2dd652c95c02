import { rmSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { createFakeMachine, ROOT_UUID } from "../boot-loaders/testing/fake-machine.ts";
import { returnPlaceOf } from "./return-place.ts";

async function machine(options: Parameters<typeof createFakeMachine>[0] = { firmware: "bios" }) {
  const made = await createFakeMachine(options);
  onTestFinished(() => rmSync(made.root, { recursive: true, force: true }));
  return made;
}

test("beside a boot image on the root, a source is fenced by the file that always fences it", async () => {
  expect(await returnPlaceOf(await machine(), "/boot/causeway/cut-1")).toEqual({
    ...{ path: "/etc/causeway/fenced", mountPoint: "/", type: "ext4" },
    location: { volume: ROOT_UUID, path: "/etc/causeway/fenced" },
  });
});

test("on the EFI system partition, a source is fenced by a file there, if services wait for that", async () => {
  const source = await machine({ firmware: "uefi" });
  await source.put("/etc/fstab", "# a comment\nUUID=1234-ABCD  /boot/efi  vfat  umask=0077  0 1\n");
  expect(await returnPlaceOf(source, "/boot/efi/EFI/causeway/cut-1")).toMatchObject({
    ...{ path: "/boot/efi/causeway-fenced", mountPoint: "/boot/efi", type: "vfat" },
    location: { path: "/causeway-fenced" },
  });
});

test.each([
  ["is not named", "", "does not name it"],
  ["is mounted by hand", "UUID=1 /boot/efi vfat noauto 0 1", "with noauto"],
  ["may be missing", "UUID=1 /boot/efi vfat defaults,nofail 0 1", "with nofail"],
  ["is mounted when it is used", "UUID=1 /boot/efi vfat x-systemd.automount 0 1", "with x-systemd.automount"],
])("a source whose EFI system partition %s could come back with its services up", async (_, fstab, why) => {
  const source = await machine({ firmware: "uefi" });
  await source.put("/etc/fstab", `${fstab}\n`);
  await expect(returnPlaceOf(source, "/boot/efi/EFI/causeway/cut-1")).rejects.toMatchObject({
    ...{ name: "ReturnNotFencedError", message: expect.stringContaining(why) },
  });
});
