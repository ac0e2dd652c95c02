import { expect, test } from "vitest";
import { BootImageBuildError } from "../boot-image/errors.ts";
import { firmwareOf } from "./kernel-modules.ts";
import { moduleClosure, moduleName } from "./module-set.ts";

const INDEX = {
  dependencies: [
    "kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/fs/mbcache.ko",
    "kernel/fs/jbd2/jbd2.ko:",
    "kernel/fs/mbcache.ko:",
    "kernel/crypto/crc32c_generic.ko:",
    "kernel/arch/x86/crypto/crc32c-intel.ko:",
    "kernel/drivers/net/ethernet/realtek/r8169.ko: kernel/drivers/net/mdio/mdio_devres.ko",
    "kernel/drivers/net/mdio/mdio_devres.ko:",
    "kernel/drivers/net/phy/realtek.ko:",
    "",
  ].join("\n"),
  softDependencies:
    "# Soft dependencies\nsoftdep ext4 pre: crypto-crc32c\nsoftdep r8169 pre: realtek post: nothing-here\n",
  aliases: "# Aliases\nalias crypto-crc32c crc32c_generic\nalias crypto-crc32c crc32c_intel\n",
  builtin: "kernel/fs/binfmt_elf.ko\n",
};

test("a file system also gets the checksum modules that it requests only at run time", () => {
  // Without crc32c_generic the kernel refuses to mount ext4, though no hard dependency says so.
  expect(moduleClosure(["ext4"], INDEX)).toEqual([
    "kernel/arch/x86/crypto/crc32c-intel.ko",
    "kernel/crypto/crc32c_generic.ko",
    "kernel/fs/ext4/ext4.ko",
    "kernel/fs/jbd2/jbd2.ko",
    "kernel/fs/mbcache.ko",
  ]);
});

test("a soft dependency that nothing provides is left out", () => {
  expect(moduleClosure(["r8169"], INDEX)).toEqual([
    "kernel/drivers/net/ethernet/realtek/r8169.ko",
    "kernel/drivers/net/mdio/mdio_devres.ko",
    "kernel/drivers/net/phy/realtek.ko",
  ]);
});

test("what is built into the kernel needs no file, and a module that does not exist is refused", () => {
  expect(moduleClosure(["binfmt_elf"], INDEX)).toEqual([]);
  expect(() => moduleClosure(["ext4", "ntfs3"], INDEX)).toThrow(BootImageBuildError);
});

test("modules have the names that the kernel uses", () => {
  expect(moduleName("kernel/drivers/block/xen-blkfront.ko")).toBe("xen_blkfront");
  expect(moduleName("kernel/fs/ext4/ext4.ko.xz")).toBe("ext4");
});

test("the firmware that a module requests is read from the module", () => {
  const module = Buffer.from(
    "\x7fELF..\0license=GPL\0firmware=bnx2/a.fw\0firmware=bnx2/b.fw\0depends=\0",
    "latin1",
  );
  expect(firmwareOf(module)).toEqual(["bnx2/a.fw", "bnx2/b.fw"]);
});
