import { expect, test } from "vitest";
import { BootImageBuildError } from "./errors.ts";
import { appendToInitrd, writeUnifiedKernelImage } from "./unified-kernel-image.ts";

const PE = 0x80;
const TABLE = PE + 24 + 240;

/** The minimum of a UEFI program: headers and one section of code. */
function stub({ headersBytes = 0x400 } = {}): Buffer {
  const image = Buffer.alloc(0x600, 0xcc);
  image.fill(0, 0, 0x400);
  image.writeUInt32LE(PE, 0x3c);
  image.write("PE\0\0", PE, "latin1");
  image.writeUInt16LE(1, PE + 6);
  image.writeUInt16LE(240, PE + 20);
  const optional = PE + 24;
  image.writeUInt32LE(0x1000, optional + 32);
  image.writeUInt32LE(0x200, optional + 36);
  image.writeUInt32LE(headersBytes, optional + 60);
  image.write(".text", TABLE, "latin1");
  image.writeUInt32LE(0x1f0, TABLE + 8);
  image.writeUInt32LE(0x1000, TABLE + 12);
  image.writeUInt32LE(0x200, TABLE + 16);
  image.writeUInt32LE(0x400, TABLE + 20);
  return image;
}

function unified(initrd: Buffer): Buffer {
  const kernel = Buffer.alloc(5000, "kernel");
  return writeUnifiedKernelImage({
    stub: stub(),
    kernel,
    initrd,
    commandLine: "panic=10",
    osRelease: "ID=causeway\n",
  });
}

function sections(image: Buffer): { name: string; address: number; content: Buffer }[] {
  return Array.from({ length: image.readUInt16LE(PE + 6) }, (_, index) => {
    const at = TABLE + index * 40;
    const start = image.readUInt32LE(at + 20);
    return {
      name: image.toString("latin1", at, at + 8).replace(/\0+$/, ""),
      address: image.readUInt32LE(at + 12),
      content: image.subarray(start, start + image.readUInt32LE(at + 8)),
    };
  });
}

test("kernel, RAM disk and command line are sections that do not overlap in memory", () => {
  const found = sections(unified(Buffer.from("initrd")));
  expect(found.map(({ name }) => name)).toEqual([".text", ".osrel", ".cmdline", ".linux", ".initrd"]);
  expect(found.map(({ address }) => address)).toEqual([0x1000, 0x2000, 0x3000, 0x4000, 0x6000]);
  expect(found[2]?.content.toString()).toBe("panic=10");
  expect(found[4]?.content.toString()).toBe("initrd");
});

test("appending a job's overlay gives the same image as building with it", () => {
  const initrd = Buffer.alloc(3072, "initrd");
  const overlay = Buffer.alloc(700, "overlay");
  expect(appendToInitrd(unified(initrd), overlay)).toEqual(unified(Buffer.concat([initrd, overlay])));
});

test("a file that is not a unified kernel image is refused", () => {
  expect(() => appendToInitrd(stub(), Buffer.alloc(4))).toThrow(BootImageBuildError);
  expect(() => appendToInitrd(Buffer.from("MZ"), Buffer.alloc(4))).toThrow(BootImageBuildError);
});

test("a stub without room for the sections' headers is refused", () => {
  const parts = { kernel: Buffer.alloc(1), initrd: Buffer.alloc(1), commandLine: "", osRelease: "" };
  const small = stub({ headersBytes: TABLE + 3 * 40 });
  expect(() => writeUnifiedKernelImage({ ...parts, stub: small })).toThrow("no room");
});
