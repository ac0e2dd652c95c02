import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { efiProgramOf } from "./efi-program.ts";

test("a GRUB core for UEFI says where it begins, and what it runs first", async () => {
  const dir = await mkdtemp(join(tmpdir(), "efi-program-"));
  try {
    const script = "search.fs_uuid 1a2b root hd0,gpt2\nset prefix=($root)'/boot/grub'\n";
    await writeFile(join(dir, "core.cfg"), script);
    execFileSync("grub-mkimage", [
      ...["-O", "x86_64-efi", "-p", "/EFI/debian", "-c", join(dir, "core.cfg"), "-o", join(dir, "grub.efi")],
      ...["normal", "search_fs_uuid"],
    ]);
    const bytes = await readFile(join(dir, "grub.efi"));
    expect(efiProgramOf(bytes)).toEqual({ kind: "grub", prefix: "/EFI/debian", script });
    expect(efiProgramOf(bytes.subarray(0, bytes.length >> 1)).kind).toBe("unknown");
  } finally {
    await rm(dir, { recursive: true });
  }
});

test.each([
  ["systemd-boot", "#### LoaderInfo: systemd-boot 252.39 ####", "systemd-boot"],
  ["shim", "UEFI SHIM\n$Version: 15.8 $", "shim"],
  ["a unified kernel image", "#### LoaderInfo: systemd-stub 252 ####", "linux"],
  ["something else", "MZ rEFInd", "unknown"],
  ["modules that reach past the end", "mimg\0\0\0\0\x18\0\0\0\0\0\0\0\xff\xff\0\0\0\0\0\0", "unknown"],
])("%s is recognised by its text", (_, words, kind) => {
  expect(efiProgramOf(Buffer.from(`MZ${"\0".repeat(64)}${words}`, "latin1")).kind).toBe(kind);
});
