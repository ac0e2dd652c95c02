import { crc32, deflateSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ConsoleLog } from "./console-log.ts";
import { allot } from "./host-room.ts";
import { isPng } from "./png.ts";

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const around = Buffer.alloc(8);
  around.writeUInt32BE(data.length, 0);
  around.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([around.subarray(0, 4), body, around.subarray(4)]);
}

function picture(width: number, height: number): Buffer {
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0]);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  const data = chunk("IDAT", deflateSync(Buffer.alloc(64)));
  return Buffer.concat([signature, chunk("IHDR", header), data, chunk("IEND", Buffer.alloc(0))]);
}

test("a picture is accepted if it is whole and no larger than a screen", () => {
  expect(isPng(picture(640, 480))).toBe(true);
  expect(isPng(picture(100_000, 480))).toBe(false);
  expect(isPng(picture(0, 480))).toBe(false);
  expect(isPng(Buffer.concat([picture(640, 480), Buffer.from("more")]))).toBe(false);
});

test("a picture that is truncated or changed anywhere is rejected, and no bytes make the reader fail", () => {
  const whole = picture(640, 480);
  for (let bytes = 0; bytes < whole.length; bytes++) expect(isPng(whole.subarray(0, bytes))).toBe(false);
  for (let at = 0; at < whole.length; at++) {
    const changed = Buffer.from(whole);
    changed.writeUInt8(changed.readUInt8(at) ^ 0x21, at);
    expect(isPng(changed)).toBe(false);
  }
  fc.assert(fc.property(fc.uint8Array(), (tail) => !isPng(Buffer.concat([whole.subarray(0, 8), tail]))));
});

test("a log keeps the beginning and the end of any text, and counts what it leaves out", () => {
  const property = fc.property(fc.array(fc.string({ unit: "binary-ascii" })), (pieces) => {
    const log = new ConsoleLog(16);
    for (const piece of pieces) log.append(piece);
    const text = pieces.join("");
    const kept = log.bytes().toString("latin1");
    const left = text.length - 32;
    const gap = `\r\n[${left} bytes are left out here]\r\n`;
    expect(kept).toBe(left > 0 ? text.slice(0, 16) + gap + text.slice(-16) : text);
  });
  fc.assert(property);
});

test("guests get at most half of what the storage has free, and do not start if that is not enough", () => {
  const MIB = 2 ** 20;
  const wanted = { memoryMiB: 1024, disks: 2, overlayBytes: 500 * MIB };
  const starter = { name: "QEMU", overheadMiB: 384 };
  const roomy = { freeMemoryBytes: 8192 * MIB, freeDiskBytes: 8192 * MIB };
  expect(allot(roomy, wanted, starter)).toEqual({ overlayBytes: 500 * MIB });
  expect(allot({ ...roomy, freeDiskBytes: 1000 * MIB }, wanted, starter)).toEqual({
    overlayBytes: 250 * MIB,
  });
  expect(allot({ ...roomy, freeDiskBytes: 200 * MIB }, wanted, starter)).toEqual({
    lacking: "what the guest writes needs 256 MiB on the images' storage; it has 200 MiB free",
  });
  expect(allot({ ...roomy, freeMemoryBytes: 1200 * MIB }, wanted, starter)).toEqual({
    lacking: "the guest needs 1024 MiB of memory, and QEMU 384 MiB; this host has 1200 MiB free",
  });
});

test("a guest that writes to no overlay starts beside full storage", () => {
  const full = { freeMemoryBytes: 8192 * 2 ** 20, freeDiskBytes: 0 };
  const wanted = { memoryMiB: 1024, disks: 0, overlayBytes: 2 ** 30 };
  expect(allot(full, wanted, { name: "QEMU", overheadMiB: 384 })).toEqual({ overlayBytes: 0 });
});
