import { describe, expect, test } from "vitest";
import { Bcd } from "./bcd.ts";
import {
  BOOT_MANAGER,
  canonicalBcd,
  FIRMWARE_BOOT_MANAGER,
  parseBcdEnumeration,
  parseCreatedId,
} from "./bcd-output.ts";
import { SavedBootState } from "./saved-state.ts";
import type { StagedImage } from "./staging.ts";
import { JOB_ID, NEED, probeUsable, SAVED_AT } from "./testing/cold-clone.ts";
import { RECORDED_WINDOWS_11 } from "./testing/recorded-bcd.ts";
import { FakeWindows, GERMAN_BIOS_ENUMERATION, UEFI_ENUMERATION } from "./testing/windows.ts";

const NEED_ON_BIOS = { ...NEED, windowsImageBytes: 300_000_000 };

async function prepare(windows: FakeWindows, need = NEED) {
  const adapter = new Bcd(windows);
  const loader = need === NEED ? await probeUsable(adapter) : await adapter.probe(need);
  if (!loader.usable) throw new Error("refused");
  const saved = await adapter.save(loader, { jobId: JOB_ID, savedAt: SAVED_AT, commandLine: "" });
  const staged: StagedImage = { jobId: JOB_ID, form: loader.form, folder: loader.folder, commandLine: "" };
  return { adapter, loader, saved: SavedBootState.parse(JSON.parse(JSON.stringify(saved))), staged };
}

/** Runs it and fails if it gave Windows a command that does more than read. */
async function withoutCommands<T>(windows: FakeWindows, run: () => Promise<T>): Promise<T> {
  const before = [...windows.commands];
  const result = await run();
  expect(windows.commands).toEqual(before);
  return result;
}

describe("the output of bcdedit", () => {
  test("returns objects with their elements, of which some have several values", () => {
    const objects = parseBcdEnumeration(UEFI_ENUMERATION);
    expect(objects?.map(({ id }) => id)).toEqual([
      FIRMWARE_BOOT_MANAGER,
      BOOT_MANAGER,
      "{1b2c3d4e-0000-4000-8000-00000000aaaa}",
    ]);
    expect(objects?.[0]?.elements.displayorder).toEqual([
      BOOT_MANAGER,
      "{1b2c3d4e-0000-4000-8000-00000000bbbb}",
    ]);
    expect(objects?.[2]?.elements.path).toEqual(["\\Windows\\system32\\winload.efi"]);
  });

  test("of a real Windows 11 is parsed completely: lists, an object without elements, RAM disks", () => {
    const objects = parseBcdEnumeration(RECORDED_WINDOWS_11) ?? [];
    expect(objects).toHaveLength(RECORDED_WINDOWS_11.match(/^-+$/gm)?.length ?? 0);
    const named = Object.fromEntries(objects.map(({ id, elements }) => [id, elements]));
    expect(named["{7ea2e1ac-2e61-4728-aaa3-896d9d0a9f0e}"]?.inherit).toHaveLength(3);
    expect(named["{5189b25c-5558-4bf2-bca4-289b11bd29e2}"]).toEqual({});
    expect(named["{0fd8694b-e7fe-11f0-91cd-eabb9ab44a94}"]).toMatchObject({
      device: [
        "ramdisk=[\\Device\\HarddiskVolume3]\\Recovery\\WindowsRE\\Winre.wim,{0fd8694c-e7fe-11f0-91cd-eabb9ab44a94}",
      ],
      winpe: ["Yes"],
      "custom:46000010": ["Yes"],
    });
    expect(parseBcdEnumeration(RECORDED_WINDOWS_11.replaceAll("\n", "\r\n"))).toEqual(objects);
  });

  test("is parsed in the language of Windows, and with its line ends", () => {
    const objects = parseBcdEnumeration(GERMAN_BIOS_ENUMERATION.replaceAll("\n", "\r\n"));
    expect(objects?.map(({ id, elements }) => [id, elements.description?.[0]])).toEqual([
      [BOOT_MANAGER, "Windows Boot Manager"],
      ["{1b2c3d4e-0000-4000-8000-00000000aaaa}", "Windows Server"],
    ]);
  });

  test("of another kind is not a boot configuration", () => {
    expect(
      parseBcdEnumeration("The boot configuration data store could not be opened.\r\nAccess is denied."),
    ).toBeUndefined();
    expect(
      parseCreatedId("Der Eintrag wurde erfolgreich in {1B2C3D4E-0000-4000-8000-00000000CCCC} kopiert."),
    ).toBe("{1b2c3d4e-0000-4000-8000-00000000cccc}");
  });

  test("is compared in any order of objects, but with the order of the menu", () => {
    const objects = parseBcdEnumeration(UEFI_ENUMERATION) ?? [];
    expect(canonicalBcd(objects.toReversed())).toBe(canonicalBcd(objects));
    const other = UEFI_ENUMERATION.replace("timeout                 30", "timeout                 10");
    expect(canonicalBcd(parseBcdEnumeration(other) ?? [])).not.toBe(canonicalBcd(objects));
  });
});

test("on UEFI an entry of the firmware starts the unified kernel image once; the Windows entries stay", async () => {
  const windows = new FakeWindows({ uefi: true });
  const { adapter, saved, staged } = await prepare(windows);
  const { entry } = await adapter.arm(saved, staged);
  expect(windows.commands).toEqual([
    `/export C:\\ProgramData\\Causeway\\${JOB_ID}.bcd`,
    `/copy ${BOOT_MANAGER} /d Causeway ${JOB_ID}`,
    `/set ${entry} path \\EFI\\causeway\\${JOB_ID}\\causeway.efi`,
    `/set ${FIRMWARE_BOOT_MANAGER} displayorder ${entry} /addlast`,
    `/set ${FIRMWARE_BOOT_MANAGER} bootsequence ${entry}`,
  ]);
  expect(windows.element(FIRMWARE_BOOT_MANAGER, "displayorder")).toEqual([BOOT_MANAGER, entry]);
  await adapter.disarm(saved);
  expect(windows.element(FIRMWARE_BOOT_MANAGER, "bootsequence")).toBeUndefined();
  expect((await adapter.restore(saved)).outcome).toBe("equal");
});

test("on BIOS a Windows PE image is started from a RAM disk, once", async () => {
  const windows = new FakeWindows({ uefi: false });
  const { adapter, saved, staged } = await prepare(windows, NEED_ON_BIOS);
  const { entry } = await adapter.arm(saved, staged);
  const folder = `\\causeway\\${JOB_ID}`;
  const options = "{1b2c3d4e-0000-4000-8000-000000000001}";
  expect(windows.element(options, "ramdisksdipath")).toEqual([`${folder}\\boot.sdi`]);
  expect(windows.element(entry, "device")).toEqual([`ramdisk=[C:]${folder}\\boot.wim,${options}`]);
  expect(windows.element(entry, "winpe")).toEqual(["yes"]);
  expect(windows.element(BOOT_MANAGER, "bootsequence")).toEqual([entry]);
  expect(windows.element(BOOT_MANAGER, "default")).toBeUndefined();
  expect((await adapter.restore(saved)).outcome).toBe("equal");
});

test.each([
  { uefi: true, need: NEED },
  { uefi: false, need: NEED_ON_BIOS },
])("restoring cures a power cut after any command (%o)", async ({ uefi, need }) => {
  for (let cutAfter = 1, done = false; !done; cutAfter++) {
    const windows = new FakeWindows({ uefi });
    const { adapter, saved, staged } = await prepare(windows, need);
    windows.cutAfter = cutAfter;
    done = await adapter.arm(saved, staged).then(
      () => true,
      () => false,
    );
    windows.cutAfter = Number.POSITIVE_INFINITY;
    expect((await adapter.restore(saved)).outcome).toBe("equal");
    expect((await adapter.restore(saved)).outcome).toBe("equal");
  }
});

test("a configuration that others changed since it was saved is not armed; the comparison says so, and the change stays", async () => {
  const windows = new FakeWindows({ uefi: true });
  const { adapter, saved, staged } = await prepare(windows);
  await windows.run("bcdedit", "/set", BOOT_MANAGER, "timeout", "5");
  await withoutCommands(windows, () =>
    expect(adapter.arm(saved, staged)).rejects.toMatchObject({ name: "BootStateChangedError" }),
  );
  expect((await adapter.attest(saved)).outcome).toBe("changed-by-others");
  expect((await adapter.restore(saved)).outcome).toBe("changed-by-others");
});

test.each<[string, (windows: FakeWindows) => unknown, string]>([
  [
    "the agent is not an administrator",
    (windows) => Object.assign(windows, { administrator: false }),
    "bcd-unreadable",
  ],
  ["Secure Boot is on", (windows) => Object.assign(windows, { secureBoot: true }), "secure-boot"],
  [
    "it is not known whether Secure Boot is on",
    (windows) => Object.assign(windows, { secureBoot: "unknown" }),
    "secure-boot",
  ],
  ["BitLocker is on", (windows) => Object.assign(windows, { bitLocker: true }), "bitlocker"],
  ["the ESP is not mounted", (windows) => Object.assign(windows, { esp: undefined }), "no-place"],
  ["the ESP is too small", (windows) => Object.assign(windows, { freeSpaceBytes: 1000 }), "place-too-small"],
  [
    "another entry is already next",
    (windows) => windows.run("bcdedit", "/bootsequence", "{1b2c3d4e-0000-4000-8000-00000000aaaa}"),
    "one-shot-pending",
  ],
])("is refused if %s", async (_, change, code) => {
  const windows = new FakeWindows({ uefi: true });
  await change(windows);
  const result = await withoutCommands(windows, () => new Bcd(windows).probe(NEED));
  expect(result).toMatchObject({ usable: false, refusals: [{ code }] });
});

test("the recorded configuration can be armed: BIOS, with a Windows PE image", async () => {
  const windows = new FakeWindows({ uefi: false });
  windows.enumeration = RECORDED_WINDOWS_11;
  expect(await new Bcd(windows).probe(NEED_ON_BIOS)).toMatchObject({ usable: true, form: "windows-ramdisk" });
});

test("is refused on BIOS without a Windows PE image", async () => {
  const windows = new FakeWindows({ uefi: false });
  const result = await withoutCommands(windows, () => new Bcd(windows).probe(NEED));
  expect(result).toMatchObject({ usable: false, refusals: [{ code: "no-windows-image" }] });
});

test.each<[string, (windows: FakeWindows) => unknown, RegExp]>([
  [
    "bcdedit fails",
    (windows) => Object.assign(windows, { administrator: false }),
    /bcdedit \/enum all \/v: .*could not be opened/,
  ],
  [
    "bcdedit is not found",
    (windows) => Object.assign(windows, { run: async () => undefined }),
    /bcdedit \/enum all \/v: not found/,
  ],
  [
    "bcdedit prints something else",
    (windows) => Object.assign(windows, { enumeration: "The operation completed successfully." }),
    /bcdedit printed an unknown result/,
  ],
])(
  "if %s nothing is saved, armed, restored or compared, and nothing is changed",
  async (_, change, message) => {
    const windows = new FakeWindows({ uefi: true });
    const { adapter, saved, staged, loader } = await prepare(windows);
    await change(windows);
    const job = { jobId: JOB_ID, savedAt: SAVED_AT, commandLine: "" };
    const unreadable = { name: "BootStateUnreadableError", message: expect.stringMatching(message) };
    await withoutCommands(windows, async () => {
      await expect(adapter.save(loader, job)).rejects.toMatchObject(unreadable);
      await expect(adapter.arm(saved, staged)).rejects.toMatchObject(unreadable);
      await expect(adapter.disarm(saved)).rejects.toMatchObject(unreadable);
      await expect(adapter.restore(saved)).rejects.toMatchObject(unreadable);
      await expect(adapter.attest(saved)).rejects.toMatchObject(unreadable);
    });
  },
);

test("a saved state without the boot configuration is neither armed nor compared, and nothing is changed", async () => {
  const windows = new FakeWindows({ uefi: true });
  const { adapter, saved, staged } = await prepare(windows);
  const unreadable = { name: "BootStateUnreadableError", message: expect.stringContaining("was not saved") };
  await withoutCommands(windows, async () => {
    await expect(adapter.arm({ ...saved, items: [] }, staged)).rejects.toMatchObject(unreadable);
    await expect(adapter.attest({ ...saved, items: [] })).rejects.toMatchObject(unreadable);
  });
});

test.each<[string, string, string, string]>([
  ["/copy", "The operation completed successfully.", "ArmingFailedError", "the new entry is not named"],
  ["/set", "The operation completed successfully.", "ArmingFailedError", "the next start is not kept"],
  ["/set", "", "BootStateUnreadableError", "a value is refused"],
])(
  "if bcdedit %s answers '%s' arming ends with %s, and restoring takes back what it did: %s",
  async (verb, output, name) => {
    const windows = new FakeWindows({ uefi: true });
    const { adapter, saved, staged } = await prepare(windows);
    const run = windows.run.bind(windows);
    windows.run = async (command, ...args) => {
      if (args[0] === "/copy" && verb === "/copy") await run(command, ...args);
      else if (args[0] !== verb) return run(command, ...args);
      return { status: output === "" ? 1 : 0, output };
    };
    await expect(adapter.arm(saved, staged)).rejects.toMatchObject({ name });
    windows.run = run;
    expect(windows.element(FIRMWARE_BOOT_MANAGER, "bootsequence")).toBeUndefined();
    expect((await adapter.restore(saved)).outcome).toBe("equal");
  },
);

test("an entry that Windows does not delete is reported, no longer starts, and is deleted by restoring again", async () => {
  const windows = new FakeWindows({ uefi: true });
  const { adapter, saved, staged } = await prepare(windows);
  await adapter.arm(saved, staged);
  const run = windows.run.bind(windows);
  windows.run = (command, ...args) =>
    args[0] === "/delete" ? Promise.resolve({ status: 0, output: "" }) : run(command, ...args);
  await expect(adapter.restore(saved)).rejects.toMatchObject({ name: "BootStateNotRestoredError" });
  expect(windows.element(FIRMWARE_BOOT_MANAGER, "bootsequence")).toBeUndefined();
  windows.run = run;
  expect((await adapter.restore(saved)).outcome).toBe("equal");
});
