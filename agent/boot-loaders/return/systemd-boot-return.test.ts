import { mkdir, rm } from "node:fs/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { tool } from "../../filesystems/testing/test-image.ts";
import { EFI_VARIABLES } from "../../machine/system.ts";
import {
  createFakeMachine,
  ESP_PARTITION_UUID,
  ROOT_UUID,
  type RootedMachine,
} from "../testing/fake-machine.ts";
import { installSystemdBoot } from "../testing/systemd-boot-installation.ts";
import { judgeReturn } from "./system-return.ts";
import {
  entryFiles,
  SYSTEMD_BOOT_CASES,
  SYSTEMD_BOOT_VERSIONS,
  startsIn,
} from "./testing/systemd-boot-cases.ts";

const LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

let machine: RootedMachine;
beforeAll(async () => {
  machine = await createFakeMachine({ firmware: "uefi" });
});
afterAll(() => rm(machine.root, { recursive: true, force: true }));

/** Started by `a`, whose root is `/dev/a`. */
beforeEach(async () => {
  for (const name of await machine.list(EFI_VARIABLES)) {
    if (name.endsWith(LOADER)) await machine.deleteVariable(`${EFI_VARIABLES}/${name}`);
  }
  await rm(machine.at("/boot/efi"), { recursive: true });
  await mkdir(machine.at("/boot/efi/EFI"), { recursive: true });
  await installSystemdBoot(machine);
  await rm(machine.at("/boot/efi/loader"), { recursive: true });
  await putVariables({
    LoaderEntrySelected: "a.conf",
    LoaderEntries: "a.conf\0auto-reboot-to-firmware-setup",
  });
  await machine.put("/proc/cmdline", "root=/dev/a ro\n");
});

async function putVariables(variables: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, value] of Object.entries(variables)) {
    await machine.putVariable(`${name}-${LOADER}`, Buffer.from(`${value}\0`, "utf16le"));
  }
}

async function put(files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) await machine.put(`/boot/efi/${name}`, content);
}

/** Of the start as a whole. */
async function verdict(): Promise<string> {
  const { bootLoader, nextStart } = await judgeReturn(machine);
  const verdicts = [bootLoader.verdict, nextStart.verdict];
  return ["attended", "unknown"].find((each) => verdicts.includes(each as "unknown")) ?? "unattended";
}

test.each(SYSTEMD_BOOT_CASES.map((each) => [each.name, each] as const))(
  "systemd-boot, as a real one does, with %s",
  async (_, given) => {
    await put(given.files);
    await putVariables(given.variables ?? {});
    if (given.files["loader/loader.conf"]?.includes("auto-firmware no"))
      await putVariables({ LoaderEntries: "a.conf" });
    const startsItself = SYSTEMD_BOOT_VERSIONS.every((version) => startsIn(given, version) === "a");
    expect(await verdict()).toBe(given.verdict ?? (startsItself ? "unattended" : "attended"));
  },
);

describe("the start that is judged", () => {
  test("is this system's, with another of its kernels", async () => {
    await put({ ...entryFiles("a"), ...entryFiles("b") });
    await put({ "loader/entries/b.conf": "efi /b.efi\noptions quiet\noptions root=/dev/a\n" });
    expect(await verdict()).toBe("unattended");
  });

  test("is not known if the entry names its root in another way, or not at all", async () => {
    await put({ ...entryFiles("a"), ...entryFiles("b") });
    await put({ "loader/entries/b.conf": "efi /b.efi\noptions root=UUID=1\n" });
    expect(await verdict()).toBe("unknown");
    await put({ "loader/entries/b.conf": "efi /b.efi\n" });
    expect(await verdict()).toBe("unknown");
  });

  test("is this system's although its attempts are no longer counted", async () => {
    await put(entryFiles("a"));
    await putVariables({ LoaderEntrySelected: "a+3.conf" });
    expect(await verdict()).toBe("unattended");
  });

  test("may be an entry that systemd-boot makes itself, if it does not say which entries it makes", async () => {
    await put({ ...entryFiles("a"), "loader/loader.conf": "default auto-windows\n" });
    expect(await verdict()).toBe("unattended");
    await machine.deleteVariable(`${EFI_VARIABLES}/LoaderEntries-${LOADER}`);
    expect(await verdict()).toBe("attended");
  });

  test("is judged with names in any case, as FAT compares them", async () => {
    const [entry] = Object.values(entryFiles("a"));
    await put({
      "LOADER/Entries/A.CONF": entry ?? "",
      "A.EFI": "MZ",
      "LOADER/LOADER.CONF": "timeout menu-force\n",
    });
    const { bootLoader, nextStart } = await judgeReturn(machine);
    expect([bootLoader.verdict, nextStart.verdict]).toEqual(["attended", "unattended"]);
  });

  test("can be on the extended boot loader partition, and is not known while that is not mounted", async () => {
    const other = await createFakeMachine({ firmware: "uefi" });
    try {
      await installSystemdBoot(other);
      await rm(other.at("/boot/efi/loader"), { recursive: true });
      await other.put("/proc/cmdline", "root=/dev/a ro\n");
      tool("sfdisk", "-q", "--part-type", other.at("/dev/sda"), "3", "BC13C2FF-59E6-4262-A352-B275FD6F7172");
      await other.put("/boot/efi/loader/entries/a.conf", "efi /a.efi\noptions root=/dev/a\n");
      await other.put("/boot/efi/a.efi", "MZ");
      expect((await judgeReturn(other)).nextStart.verdict).toBe("unknown");
      const mounts = (await other.contents("/proc/self/mountinfo"))?.toString() ?? "";
      await other.put("/proc/self/mountinfo", `40 27 8:3 / /boot rw - vfat /dev/sda3 rw\n${mounts}`);
      expect((await judgeReturn(other)).nextStart.verdict).toBe("unattended");
      await other.put("/boot/loader/entries/b.conf", "efi /b.efi\noptions root=/dev/b\n");
      await other.put("/boot/b.efi", "MZ");
      expect((await judgeReturn(other)).nextStart.verdict).toBe("attended");
      await other.put("/proc/self/mountinfo", mounts.replace("8:1 / /boot/efi", "8:3 / /boot"));
      await other.unlink("/boot/b.efi");
      await other.put("/boot/loader/entries/a.conf", "efi /a.efi\noptions root=/dev/a\n");
      await other.put("/boot/a.efi", "MZ");
      expect((await judgeReturn(other)).nextStart).toMatchObject({
        verdict: "unknown",
        reason: expect.stringContaining("the EFI system partition that it was started from"),
      });
    } finally {
      await rm(other.root, { recursive: true, force: true });
    }
  });

  test("is not known if systemd-boot was started from another disk", async () => {
    await put(entryFiles("a"));
    await putVariables({ LoaderDevicePartUUID: ESP_PARTITION_UUID.toUpperCase() });
    expect(await verdict()).toBe("unattended");
    await putVariables({ LoaderDevicePartUUID: ROOT_UUID });
    expect(await verdict()).toBe("unknown");
  });

  test("is not known with several entries of a version whose order is not known", async () => {
    await installSystemdBoot(machine, 0x7fn);
    await rm(machine.at("/boot/efi/loader"), { recursive: true });
    await putVariables({ LoaderEntrySelected: "a.conf" });
    await put(entryFiles("a"));
    expect(await verdict()).toBe("unattended");
    await put({ ...entryFiles("b"), "loader/loader.conf": "default a.conf\n" });
    expect(await verdict()).toBe("unknown");
  });
});
