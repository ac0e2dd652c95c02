import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { TestDisk, testContent } from "../disk/testing/test-disk.ts";
import { serveDisk } from "./nbd-server.ts";

const MIB = 2 ** 20;
let folder: string;
let socket: string;
let server: Server;
let disk: TestDisk;
const errors: unknown[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "nbd-server-"));
  socket = join(folder, "socket");
  // Not a whole number of sectors.
  disk = new TestDisk(testContent(9 * MIB + 700, 5));
  const reader = {
    sizeBytes: disk.sizeBytes,
    read: async (offset: number, length: number) => {
      const bytes = Buffer.alloc(length);
      await disk.read(offset, bytes);
      return bytes;
    },
  };
  server = createServer((stream) => {
    void serveDisk(stream, { name: "disk0", reader, onError: (error) => errors.push(error) });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true });
});
afterEach(() => {
  errors.length = 0;
  disk.badSectors.clear();
});

/** Runs one of QEMU's tools; returns everything that it printed. */
function qemu(tool: "qemu-io" | "qemu-img", ...args: string[]): Promise<{ status: number; output: string }> {
  const { promise, resolve } = Promise.withResolvers<{ status: number; output: string }>();
  execFile(tool, args, (error, output, complaints) => {
    resolve({ status: Number(error?.code ?? 0), output: output + complaints });
  });
  return promise;
}
const url = (name = "disk0") => `nbd+unix:///${name}?socket=${socket}`;
const io = (...commands: string[]) =>
  qemu("qemu-io", "-r", "-f", "raw", ...commands.flatMap((command) => ["-c", command]), url());

test("qemu-img copies the disk byte for byte, and the rest of its last sector is zeros", async () => {
  const copy = join(folder, "copy.raw");
  expect(await qemu("qemu-img", "convert", "-f", "raw", "-O", "raw", url(), copy)).toMatchObject({
    status: 0,
  });
  const bytes = await readFile(copy);
  expect(bytes.subarray(0, disk.sizeBytes).equals(disk.bytes)).toBe(true);
  expect(bytes.subarray(disk.sizeBytes).every((byte) => byte === 0)).toBe(true);
});

test("qemu-io reads any part of it", async () => {
  await writeFile(join(folder, "pattern"), "");
  const { status, output } = await io("read 0 4096", "read 1048000 70000", `read ${9 * MIB} 512`);
  expect({ status, reads: output.match(/^read \d+\/\d+ bytes/gm)?.length }).toEqual({ status: 0, reads: 3 });
});

test("the export is read-only, and a client that opens it for writing is refused", async () => {
  const { status, output } = await qemu("qemu-io", "-f", "raw", "-c", "write 0 512", url());
  expect(status).not.toBe(0);
  expect(output).toContain("Permission denied");
  expect(errors).toEqual([]);
});

test("an export of another name is unknown, and its client learns it", async () => {
  const { status, output } = await qemu("qemu-img", "info", url("disk1"));
  expect(status).toBe(1);
  expect(output).toContain("not available");
});

test("a part that cannot be read is an I/O error there only, and the server's owner gets the reason", async () => {
  disk.badSectors.add(2048);
  const { output } = await io(`read ${MIB} 512`, "read 0 512");
  expect(output).toContain("Input/output error");
  expect(output).toContain("read 512/512 bytes at offset 0");
  expect(errors).toMatchObject([{ code: "EIO" }]);
});

test("several clients read at the same time", async () => {
  const all = await Promise.all([io("read 0 9M"), io("read 0 9M"), io("read 4M 5M")]);
  expect(all.map(({ status }) => status)).toEqual([0, 0, 0]);
});
