import { execFileSync } from "node:child_process";
import { zstdCompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { uncompressedKernel } from "./kernel-payload.ts";

const ENTRY = Buffer.from("04000000080000001200000058656e00", "hex");
const executable = Buffer.concat([Buffer.from("\x7fELF", "latin1"), Buffer.alloc(100_000, "code"), ENTRY]);
const xz = (bytes: Buffer) => execFileSync("xz", ["--check=crc32"], { input: bytes });

/** As a kernel's build makes it: code that unpacks the rest, with the rest in its middle. */
function kernelWith(compressed: Buffer): Buffer {
  const setup = Buffer.alloc(3 * 512);
  setup[0x1f1] = 2;
  setup.write("HdrS", 0x202, "latin1");
  setup.writeUInt32LE(700, 0x248);
  setup.writeUInt32LE(compressed.length + 4, 0x24c);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(executable.length);
  return Buffer.concat([setup, Buffer.alloc(700, 0x90), compressed, length, Buffer.alloc(900, 0x90)]);
}

test.each([
  ["xz, as Debian 12's", xz],
  ["zstd", zstdCompressSync],
])("the executable in a kernel that is compressed by %s is what was compressed", async (_, compress) => {
  expect((await uncompressedKernel(kernelWith(compress(executable)))).equals(executable)).toBe(true);
});

test.each([
  ["is no kernel", Buffer.alloc(4096), "no header of a Linux kernel"],
  ["is compressed by LZ4", kernelWith(Buffer.from("02214c18abcd", "hex")), "in a way that this builder"],
  ["is cut off", kernelWith(xz(executable)).subarray(0, 2400), "cannot be unpacked"],
  ["contains something else", kernelWith(xz(Buffer.from("no executable"))), "in a way that this builder"],
  ["QEMU cannot start", kernelWith(xz(executable.subarray(0, -16))), "no entry"],
])("a kernel that %s is no boot image's", async (_, kernel, message) => {
  await expect(uncompressedKernel(kernel)).rejects.toMatchObject({
    name: "BootImageBuildError",
    message: expect.stringContaining(message),
  });
});
