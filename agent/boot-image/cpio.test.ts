import { expect, test } from "vitest";
import { type ArchiveEntry, writeArchive } from "./cpio.ts";

const ENTRIES: ArchiveEntry[] = [
  { kind: "directory", path: "etc", mode: 0o755 },
  { kind: "file", path: "etc/motd", mode: 0o644, data: Buffer.from("hi\n") },
  { kind: "link", path: "etc/mtab", target: "../proc/self/mounts" },
  { kind: "character-device", path: "null", mode: 0o666, major: 1, minor: 3 },
];

test("an archive is written as the kernel documents it", () => {
  const archive = writeArchive(ENTRIES, 0x10);
  const header = archive.toString("latin1", 116, 116 + 110);
  // Magic, then inode 2, mode 100644, root, root, one link, time, three bytes, no devices, name of nine
  // bytes, no checksum.
  expect(header.match(/^070701|.{8}/g)).toEqual([
    "070701",
    "00000002",
    "000081a4",
    "00000000",
    "00000000",
    "00000001",
    "00000010",
    "00000003",
    "00000000",
    "00000000",
    "00000000",
    "00000000",
    "00000009",
    "00000000",
  ]);
  expect(archive.length % 512).toBe(0);
});

test("an archive returns what was put into it", () => {
  expect(readArchive(writeArchive(ENTRIES, 0))).toEqual([
    { path: "etc", mode: 0o40755, data: "" },
    { path: "etc/motd", mode: 0o100644, data: "hi\n" },
    { path: "etc/mtab", mode: 0o120777, data: "../proc/self/mounts" },
    { path: "null", mode: 0o20666, data: "" },
  ]);
});

test("a path that occurs twice is refused", () => {
  const entry: ArchiveEntry = { kind: "directory", path: "etc", mode: 0o755 };
  expect(() => writeArchive([entry, entry], 0)).toThrow("etc occurs twice");
});

function readArchive(archive: Buffer): { path: string; mode: number; data: string }[] {
  const found = [];
  for (let at = 0; ; ) {
    const field = (index: number) =>
      Number.parseInt(archive.toString("latin1", at + 6 + index * 8, at + 14 + index * 8), 16);
    const nameAt = at + 110;
    const path = archive.toString("utf8", nameAt, nameAt + field(11) - 1);
    if (path === "TRAILER!!!") return found;
    const dataAt = Math.ceil((nameAt + field(11)) / 4) * 4;
    found.push({ path, mode: field(1), data: archive.toString("utf8", dataAt, dataAt + field(6)) });
    at = Math.ceil((dataAt + field(6)) / 4) * 4;
  }
}
