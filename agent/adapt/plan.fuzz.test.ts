import fc from "fast-check";
import { expect, test } from "vitest";
import type { WantedMachine } from "#shared/protocol/wanted-machine.ts";
import type { CapturedSystem } from "./captured-system.ts";
import { planAdaptation } from "./plan.ts";
import { aSystem, aWantedMachine } from "./testing/a-system.ts";

const OLD = "00:0c:29:d5:2c:03";
const word = fc.constantFrom(
  ...[
    "/dev/sda2",
    "/dev/sda3",
    "/dev/sdz1",
    "/dev/disk/by-path/pci-1-part2",
    "UUID=ab",
    "LABEL=root",
    "none",
  ],
  ...["/", "swap", "ext4", "defaults", "0", "#", "root=/dev/sda2", "resume=/dev/sda3", "resume=/dev/sdq9"],
  ...["console=ttyS1,9600", "console=ttyS0", "console=tty0", "console=hvc0", "linux", "options", "kernel"],
  ...[
    "MODULES=dep",
    "RESUME=/dev/sda3",
    "GRUB_CMDLINE_LINUX=",
    'GRUB_CMDLINE_LINUX_DEFAULT="quiet"',
    '"',
    "'",
  ],
  ...["GRUB_DISABLE_LINUX_UUID=true", `HWADDR=${OLD}`, OLD.toUpperCase(), "SELINUX=enforcing", "\\"],
);
const line = fc
  .array(fc.tuple(word, fc.constantFrom(" ", "\t", "")), { maxLength: 7 })
  .map((words) => words.flat().join(""));
const text = fc.oneof(
  fc.array(line, { maxLength: 8 }).map((lines) => lines.join("\n")),
  fc.string({ unit: "binary", maxLength: 60 }),
);

const PATHS = [
  ...["/etc/fstab", "/etc/crypttab", "/boot/grub/grub.cfg", "/etc/default/grub", "/boot/grub/device.map"],
  ...["/etc/kernel/cmdline", "/boot/loader/entries/a.conf", "/etc/initramfs-tools/initramfs.conf"],
  ...["/etc/initramfs-tools/conf.d/resume", "/etc/initramfs-tools/modules", "/etc/netplan/a.yaml"],
  ...["/etc/udev/rules.d/70-persistent-net.rules", "/etc/cloud/cloud.cfg", "/etc/selinux/config"],
];
const files = fc
  .array(fc.tuple(fc.constantFrom(...PATHS), text), { maxLength: 6 })
  .map((entries) => Object.fromEntries(entries));
const wanted = fc
  .record({
    diskBus: fc.constantFrom("virtio" as const, "sata" as const),
    firmware: fc.constantFrom("bios" as const, "uefi" as const),
    purpose: fc.constantFrom("drill" as const, "production" as const),
    machineId: fc.constantFrom("kept" as const, "new" as const),
    name: fc.constantFrom("eth0", "ens192", "lan.0"),
  })
  .map(({ name, ...parts }) =>
    aWantedMachine({
      ...parts,
      cards: [{ address: "52:54:00:12:34:56", replaces: { name, address: OLD } }],
    }),
  );

function after(system: CapturedSystem, machine: WantedMachine): CapturedSystem {
  const changed = new Map(system.files);
  for (const { path, after: content, mode } of planAdaptation(system, machine).changes)
    content ? changed.set(path, { content, mode }) : changed.delete(path);
  return { ...system, files: changed };
}

test("a system that is adapted needs no other change for the same machine", () => {
  fc.assert(
    fc.property(files, wanted, (contents, machine) => {
      const adapted = after(aSystem({ files: contents }), machine);
      expect(planAdaptation(adapted, machine).changes).toEqual([]);
    }),
  );
});

test("a change says which version it is for and why, keeps the file's rights, and changes something", () => {
  fc.assert(
    fc.property(files, wanted, (contents, machine) => {
      const system = aSystem({ files: contents });
      for (const change of planAdaptation(system, machine).changes) {
        const before = system.files.get(change.path);
        expect(change.beforeSha256 === undefined).toBe(before === undefined);
        expect(change.why.length).toBeGreaterThan(0);
        expect(change.mode).toBe(before?.mode ?? 0o644);
        expect(before ? change.after?.equals(before.content) : change.after === undefined).not.toBe(true);
      }
    }),
  );
});

test("lines of fstab that name no block device by the kernel's name stay, byte by byte", () => {
  fc.assert(
    fc.property(text, wanted, (fstab, machine) => {
      const system = aSystem({ files: { "/etc/fstab": fstab } });
      const adapted = after(system, machine).files.get("/etc/fstab")?.content.toString("latin1").split("\n");
      // The fixture keeps bytes; so must the comparison.
      const before = system.files.get("/etc/fstab")?.content.toString("latin1").split("\n") ?? [];
      expect(adapted).toHaveLength(before.length);
      before.forEach((one, at) => {
        if (!one.includes("/dev/")) expect(adapted?.[at]).toBe(one);
      });
    }),
  );
});
