import { readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { afterEach, describe, expect, test } from "vitest";
import { EFI_VARIABLES } from "../machine/system.ts";
import { Grub } from "./grub.ts";
import { decodeGrubEnvironment, grubVariable } from "./grub-environment.ts";
import { SavedBootState } from "./saved-state.ts";
import {
  imageOf,
  JOB_ID,
  NEED,
  probeUsable,
  saveState,
  stageAndArm,
  stageImage,
} from "./testing/cold-clone.ts";
import {
  BOOT_UUID,
  createFakeMachine,
  type FakeMachineOptions,
  ROOT_UUID,
  type RootedMachine,
} from "./testing/fake-machine.ts";
import { GRUB_CONFIGURATION, grubEnvironmentBlock, installGrub } from "./testing/grub-installation.ts";
import { withoutWriting } from "./testing/untouched.ts";

const machines: RootedMachine[] = [];
afterEach(async () => {
  for (const { root } of machines.splice(0)) await rm(root, { recursive: true, force: true });
});

async function grubMachine(
  options: FakeMachineOptions = { firmware: "bios" },
  installation: Parameters<typeof installGrub>[1] = {},
): Promise<RootedMachine> {
  const machine = await createFakeMachine(options);
  machines.push(machine);
  await installGrub(machine, installation);
  return machine;
}

async function refusalsOf(machine: RootedMachine): Promise<string[]> {
  const result = await withoutWriting(machine, () => new Grub(machine).probe(NEED));
  return result.usable ? [] : result.refusals.map(({ code }) => code);
}

async function arm(machine: RootedMachine) {
  const adapter = new Grub(machine);
  const loader = await probeUsable(adapter);
  const saved = SavedBootState.parse(JSON.parse(JSON.stringify(await saveState(adapter))));
  const armed = await stageAndArm(machine, { adapter, saved, loader, image: await imageOf(machine) });
  return { adapter, saved, armed };
}

function textOf(machine: RootedMachine, path: string): Promise<string> {
  return readFile(machine.at(path), "utf8");
}

test("arming adds an entry to custom.cfg and names it for the next start, and changes nothing else", async () => {
  const machine = await grubMachine();
  const { armed } = await arm(machine);
  expect(armed).toEqual({ kind: "grub", entry: `causeway-${JOB_ID}` });
  expect(await textOf(machine, "/boot/grub/grub.cfg")).toBe(GRUB_CONFIGURATION);
  expect(await textOf(machine, "/boot/grub/custom.cfg")).toBe(
    [
      "# >>> Causeway: added for one start, taken away after it >>>",
      `menuentry 'Causeway boot environment' --unrestricted --id causeway-${JOB_ID} {`,
      "  insmod part_gpt",
      "  insmod ext2",
      `  search --no-floppy --fs-uuid --set=root ${ROOT_UUID}`,
      `  if linux /boot/causeway/${JOB_ID}/vmlinuz console=tty0 panic=10 causeway.job=1; then`,
      `    if initrd /boot/causeway/${JOB_ID}/initrd.zst /boot/causeway/${JOB_ID}/overlay.cpio; then`,
      "      boot",
      "    fi",
      "  fi",
      "  echo 'The boot environment cannot be loaded. Restarting into the original system.'",
      "  sleep 10",
      "  reboot",
      "}",
      "# <<< Causeway <<<",
      "",
    ].join("\n"),
  );
  const block = decodeGrubEnvironment(await readFile(machine.at("/boot/grub/grubenv")));
  expect(block && grubVariable(block, "next_entry")).toBe(`causeway-${JOB_ID}`);
  expect(block && grubVariable(block, "saved_entry")).toBe("gnulinux-simple");
});

test("everything that the entry refers to is on the disk itself before it is next: GRUB does not replay journals", async () => {
  const machine = await grubMachine();
  const before = await readFile(machine.at("/boot/grub/grubenv"));
  let environmentAtFlush: Buffer | undefined;
  machine.flush = async (paths) => {
    expect(paths).toEqual(["/boot/grub", `/boot/causeway/${JOB_ID}`]);
    expect(await textOf(machine, "/boot/grub/custom.cfg")).toContain("menuentry 'Causeway");
    environmentAtFlush = await readFile(machine.at("/boot/grub/grubenv"));
  };
  await arm(machine);
  expect(environmentAtFlush).toEqual(before);
});

test("paths are from the root of the file system that GRUB reads, if /boot is one of its own", async () => {
  const machine = await grubMachine({ firmware: "bios", separateBoot: true });
  await arm(machine);
  const custom = await textOf(machine, "/boot/grub/custom.cfg");
  expect(custom).toContain(`--set=root ${BOOT_UUID}\n  if linux /causeway/${JOB_ID}/vmlinuz `);
});

test.each([
  { custom: undefined, about: "that was not there" },
  { custom: "menuentry 'Mine' {\n}\n", about: "with entries of its owner" },
  { custom: "# no line end", about: "whose last line has no end" },
  { custom: "", about: "that was empty" },
])("restoring puts back a custom.cfg $about, with time and permissions", async ({ custom }) => {
  const machine = await grubMachine({ firmware: "bios" }, custom === undefined ? {} : { custom });
  const path = machine.at("/boot/grub/custom.cfg");
  if (custom !== undefined) await utimes(path, 1_600_000_000, 1_600_000_000.123456);
  await utimes(machine.at("/boot/grub"), 1_600_000_000, 1_600_000_001.5);
  const before = await stat(path, { bigint: true }).catch(() => undefined);
  const { adapter, saved } = await arm(machine);
  const armedText = await textOf(machine, "/boot/grub/custom.cfg");
  expect(armedText.startsWith(custom ?? "")).toBe(true);
  expect(armedText).toContain("\nmenuentry 'Causeway");
  expect(await adapter.restore(saved)).toMatchObject({ outcome: "equal" });
  const after = await stat(path, { bigint: true }).catch(() => undefined);
  expect(after?.mode).toBe(before?.mode);
  if (before && after) {
    expect(await textOf(machine, "/boot/grub/custom.cfg")).toBe(custom);
    expect(Math.abs(Number(after.mtimeNs - before.mtimeNs))).toBeLessThan(1000);
  }
  expect(await machine.list("/boot")).toEqual(["grub"]);
  expect((await stat(machine.at("/boot/grub"))).mtimeMs).toBe(1_600_000_001_500);
});

test("arming and restoring keep grubenv's inode and blocks", async () => {
  const machine = await grubMachine();
  const before = await stat(machine.at("/boot/grub/grubenv"));
  const bytes = await readFile(machine.at("/boot/grub/grubenv"));
  const { adapter, saved } = await arm(machine);
  expect((await stat(machine.at("/boot/grub/grubenv"))).ino).toBe(before.ino);
  await adapter.restore(saved);
  const after = await stat(machine.at("/boot/grub/grubenv"));
  expect(after.ino).toBe(before.ino);
  expect(await readFile(machine.at("/boot/grub/grubenv"))).toEqual(bytes);
});

test("a system that rewrites grubenv with the same content at each start counts as unchanged", async () => {
  const machine = await grubMachine();
  const { adapter, saved } = await arm(machine);
  await adapter.restore(saved);
  const path = machine.at("/boot/grub/grubenv");
  // As Debian 13's grub-common.service does.
  await writeFile(path, await readFile(path));
  await utimes(path, 2_000_000_000, 2_000_000_000);
  expect((await adapter.attest(saved)).outcome).toBe("equal");
  await utimes(machine.at("/boot/grub/grub.cfg"), 2_000_000_000, 2_000_000_000);
  expect((await adapter.attest(saved)).outcome).toBe("changed-by-others");
});

test("what GRUB itself leaves in grubenv after the start is put back to what it was", async () => {
  const machine = await grubMachine();
  const { adapter, saved } = await arm(machine);
  const path = machine.at("/boot/grub/grubenv");
  const consumed = (await readFile(path, "latin1")).replace(
    `next_entry=causeway-${JOB_ID}\n`,
    "next_entry=\n",
  );
  await machine.overwrite(path, Buffer.from(consumed.padEnd(1024, "#"), "latin1"));
  const { outcome, items } = await adapter.attest(saved);
  expect(outcome).toBe("different");
  expect(items.find(({ name }) => name === "/boot/grub/grubenv")?.outcome).toBe("different");
  expect((await adapter.restore(saved)).outcome).toBe("equal");
});

test("disarming undoes the next start at once, but not another program's", async () => {
  const machine = await grubMachine();
  const { adapter, saved } = await arm(machine);
  await adapter.disarm(saved);
  expect(await textOf(machine, "/boot/grub/grubenv")).not.toContain("next_entry");
  const others = (await textOf(machine, "/boot/grub/grubenv")).replace(
    "saved_entry=gnulinux-simple\n",
    "next_entry=gnulinux-simple\n",
  );
  await machine.overwrite("/boot/grub/grubenv", Buffer.from(others.padEnd(1024, "#").slice(0, 1024)));
  await adapter.disarm(saved);
  expect(await textOf(machine, "/boot/grub/grubenv")).toContain("next_entry=gnulinux-simple\n");
});

test("a machine that changed since it was saved is not armed, and nothing is changed", async () => {
  const machine = await grubMachine();
  const adapter = new Grub(machine);
  const loader = await probeUsable(adapter);
  const saved = await saveState(adapter);
  const staged = await stageImage(machine, loader, await imageOf(machine));
  await machine.put("/boot/grub/custom.cfg", "menuentry 'new' {}\n");
  await withoutWriting(machine, () =>
    expect(adapter.arm(saved, staged)).rejects.toMatchObject({
      name: "BootStateChangedError",
      details: { changed: ["/boot/grub/custom.cfg"] },
    }),
  );
});

test("the comparison reports a changed main configuration, which is never written", async () => {
  const machine = await grubMachine();
  const { adapter, saved } = await arm(machine);
  await machine.put("/boot/grub/grub.cfg", `${GRUB_CONFIGURATION}# kernel update\n`, 0o444);
  const { outcome, items } = await adapter.restore(saved);
  expect(outcome).toBe("changed-by-others");
  expect(items.filter((item) => item.outcome !== "equal").map(({ name }) => name)).toEqual([
    "/boot/grub/grub.cfg",
  ]);
  expect(await textOf(machine, "/boot/grub/grub.cfg")).toContain("# kernel update");
});

describe("is refused if GRUB could not clear the entry, or would not see it", () => {
  test.each([
    [{ bootType: "btrfs" }, ["grubenv-file-system", "place-not-for-grub"]],
    [{ bootType: "zfs" }, ["grubenv-file-system", "place-not-for-grub"]],
    [{ bootLayer: "lvm" }, ["grubenv-device", "place-device"]],
    [{ bootLayer: "md" }, ["grubenv-device", "place-device"]],
    [{ bootLayer: "crypt" }, ["grubenv-device", "place-device"]],
  ] as const)("with /boot on %o", async (options, codes) => {
    const machine = await grubMachine({ firmware: "bios", separateBoot: true, ...options });
    const found = await refusalsOf(machine);
    for (const code of codes) expect(found).toContain(code);
  });

  test.each<[string, (machine: RootedMachine) => Promise<unknown>, string]>([
    ["no grubenv", (machine) => machine.unlink("/boot/grub/grubenv"), "grubenv-missing"],
    [
      "a grubenv on a file system that is mounted read-only",
      async (machine) => {
        const mounts = (await machine.read("/proc/self/mountinfo"))?.toString() ?? "";
        await machine.put("/proc/self/mountinfo", mounts.replace("ext4 /dev/sda2 rw", "ext4 /dev/sda2 ro"));
      },
      "grubenv-read-only",
    ],
    [
      "a file system for the image whose UUID cannot be read",
      (machine) => machine.overwrite("/dev/sda2", Buffer.alloc(1024), 1024),
      "place-unknown",
    ],
    [
      "a sparse grubenv",
      async (machine) => {
        await machine.unlink("/boot/grub/grubenv");
        await machine.put("/boot/grub/grubenv", "");
        await truncate(machine.at("/boot/grub/grubenv"), 1024);
      },
      "grubenv-sparse",
    ],
    [
      "a folder as grubenv",
      async (machine) => {
        await machine.unlink("/boot/grub/grubenv");
        await machine.makeFolder("/boot/grub/grubenv", 0o755);
      },
      "grubenv-not-regular",
    ],
    [
      "a grubenv of another length",
      (machine) => machine.put("/boot/grub/grubenv", "# GRUB Environment Block\n"),
      "grubenv-malformed",
    ],
    [
      "no custom.cfg in the configuration",
      (machine) =>
        machine.put("/boot/grub/grub.cfg", GRUB_CONFIGURATION.replaceAll(/^.*custom\.cfg.*$/gm, "")),
      "grub-without-custom",
    ],
    [
      "a configuration without next_entry",
      (machine) => machine.put("/boot/grub/grub.cfg", GRUB_CONFIGURATION.replaceAll("next_entry", "other")),
      "grub-without-next-entry",
    ],
    [
      "LILO",
      async (machine) => {
        await machine.unlink("/boot/grub/grub.cfg");
        await machine.put("/etc/lilo.conf", "boot=/dev/sda\n");
      },
      "lilo",
    ],
    [
      "GRUB legacy",
      async (machine) => {
        await machine.unlink("/boot/grub/grub.cfg");
        await machine.put("/boot/grub/menu.lst", "default 0\n");
      },
      "grub-legacy",
    ],
    ["no GRUB", (machine) => machine.unlink("/boot/grub/grub.cfg"), "grub-not-found"],
    [
      "an agent that is not root",
      async (machine) => {
        machine.isRootUser = false;
      },
      "not-root",
    ],
    [
      "too little space",
      async (machine) => {
        machine.freeSpaceBytes = 1_000_000;
      },
      "place-too-small",
    ],
    [
      "an entry that is already next",
      async (machine) => {
        const path = "/boot/grub/grubenv";
        const text = await textOf(machine, path);
        const waiting = text.replace("saved_entry=gnulinux-simple\n", "next_entry=memtest\n");
        await machine.put(path, waiting.padEnd(1024, "#"));
      },
      "one-shot-pending",
    ],
    [
      "an environment block without room",
      (machine) => machine.put("/boot/grub/grubenv", grubEnvironmentBlock({ kept: "x".repeat(880) })),
      "grubenv-full",
    ],
    [
      "a default that is set after the one start's",
      (machine) => machine.put("/boot/grub/grub.cfg", `${GRUB_CONFIGURATION}set default=0\n`),
      "grub-overrides",
    ],
    [
      "a counter that may choose another entry",
      async (machine) => {
        const counts = 'if [ -n "$boot_counter" -a "$boot_success" = "0" ]; then\n  set default=0\nfi\n';
        await machine.put(
          "/boot/grub/grub.cfg",
          GRUB_CONFIGURATION.replace("set timeout=5", `set timeout=5\n${counts}`),
        );
        await machine.put(
          "/boot/grub/grubenv",
          grubEnvironmentBlock({ boot_counter: "2", boot_success: "0" }),
        );
      },
      "grub-overrides",
    ],
    [
      "a second folder that GRUB may use",
      async (machine) => machine.put("/boot/grub2/grub.cfg", GRUB_CONFIGURATION),
      "grub-folder",
    ],
    [
      "an entry that an earlier conversion left",
      async (machine) => {
        const { adapter, saved } = await arm(machine);
        await adapter.disarm(saved);
      },
      "entry-left",
    ],
    [
      "LILO in the first sector of the disk",
      async (machine) => machine.overwrite("/dev/sda", Buffer.from("LILO "), 6),
      "lilo",
    ],
  ])("with %s", async (_, change, code) => {
    const machine = await grubMachine();
    expect(await refusalsOf(machine)).toEqual([]);
    await change(machine);
    expect(await refusalsOf(machine)).toContain(code);
  });

  test("if it is not known whether Secure Boot is on, or something else is the firmware's next start", async () => {
    const machine = await grubMachine({ firmware: "uefi" });
    const bootNext = "BootNext-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    await machine.putVariable(bootNext, Buffer.from([2, 0]));
    expect(await refusalsOf(machine)).toEqual(["boot-next-pending"]);
    for (const name of await machine.list(EFI_VARIABLES)) await machine.unlink(`${EFI_VARIABLES}/${name}`);
    expect(await refusalsOf(machine)).toEqual(["secure-boot-unknown"]);
  });

  test("with Secure Boot on and an image that is not signed for it", async () => {
    const machine = await grubMachine({ firmware: "uefi" });
    await machine.putVariable("SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", Buffer.from([1]), 6);
    expect(await refusalsOf(machine)).toEqual(["secure-boot"]);
    expect(await new Grub(machine).probe({ ...NEED, signedForSecureBoot: true })).toMatchObject({
      usable: true,
    });
  });
});

test("the folder of Red Hat and SUSE is found, too", async () => {
  const machine = await grubMachine({ firmware: "bios" }, { folder: "/boot/grub2" });
  const { saved, adapter } = await arm(machine);
  expect(await textOf(machine, "/boot/grub2/custom.cfg")).toContain("Causeway");
  expect((await adapter.restore(saved)).outcome).toBe("equal");
});
