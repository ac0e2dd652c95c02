import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Entry } from "./messages.ts";
import { tarEnd, tarHeader, tarPadding } from "./tar.ts";

const entry = (facts: Partial<Entry> & { name: Buffer }): Entry => ({
  say: "entry",
  type: "file",
  mode: 0o640,
  uid: 1000,
  gid: 1000,
  sizeBytes: 0,
  modifiedSeconds: 1_700_000_000,
  ...facts,
});

/** What GNU tar says of an archive with these parts. */
async function listed(...parts: Buffer[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tar-"));
  try {
    const path = join(folder, "a.tar");
    await writeFile(path, Buffer.concat(parts));
    const words = ["--numeric-owner", "--utc", "--quoting-style=escape", "--full-time", "-tvf", path];
    return execFileSync("tar", words, { encoding: "latin1", env: { LC_ALL: "C", PATH: process.env.PATH } });
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("GNU tar reads names of any bytes and length, and targets of links", async () => {
  const long = Buffer.from("n".repeat(255));
  const odd = Buffer.from([0xff, 0x0a, 0x1b, 0x20]);
  const target = Buffer.from("/".concat("t".repeat(300)));
  const text = await listed(
    tarHeader(entry({ name: long, type: "folder", mode: 0o755 }), [long]),
    tarHeader(entry({ name: odd, sizeBytes: 3 }), [long, odd]),
    Buffer.from("abc"),
    tarPadding(3),
    tarHeader(entry({ name: Buffer.from("l"), type: "link", target }), [long, Buffer.from("l")]),
    tarEnd(),
  );
  const lines = text.trimEnd().split("\n");
  expect(lines[0]).toMatch(/^drwxr-xr-x 1000\/1000 +0 2023-11-14 22:13:20 n{255}\/$/);
  expect(lines[1]).toContain(`${long}/\\377\\n\\033 `);
  expect(lines[1]).toMatch(/^-rw-r----- 1000\/1000 +3 /);
  expect(lines[2]).toContain(`-> ${target}`);
});

test("GNU tar reads sizes, owners and times that do not fit into octal digits, and devices", async () => {
  const name = Buffer.from("x");
  const text = await listed(
    tarHeader(entry({ name, uid: 4_000_000_000, modifiedSeconds: -86_400 }), [name]),
    tarHeader(entry({ name, type: "character device", major: 10, minor: 200 }), [name]),
    tarHeader(entry({ name, type: "pipe" }), [name]),
    tarEnd(),
  );
  const [file, device, pipe] = text.split("\n");
  expect(file).toContain("4000000000/1000");
  expect(file).toContain("1969-12-31 00:00:00");
  expect(device).toMatch(/^crw-r----- .* 10,200 /);
  expect(pipe).toMatch(/^prw-r-----/);
  const large = tarHeader(entry({ name, sizeBytes: 2 ** 40 }), [name]);
  expect(large.readUInt8(124)).toBe(0x80);
  expect(large.readBigUInt64BE(128)).toBe(2n ** 40n);
});

test("GNU tar reads another name of a file that came before", async () => {
  const [first, name] = [[Buffer.from("top"), Buffer.from("n".repeat(150))], Buffer.from("other")];
  const text = await listed(
    tarHeader(entry({ name, sizeBytes: 3, shared: 0 }), first),
    Buffer.from("abc"),
    tarPadding(3),
    tarHeader(entry({ name, shared: 0 }), [Buffer.from("top"), name], first),
    tarEnd(),
  );
  expect(text.trimEnd().split("\n")[1]).toMatch(
    /^hrw-r----- 1000\/1000 +0 .* top\/other link to top\/n{150}$/,
  );
});

test("a socket and the nameless top of a volume are not in the archive", () => {
  expect(tarHeader(entry({ name: Buffer.from("s"), type: "socket" }), [Buffer.from("s")])).toHaveLength(0);
  expect(tarHeader(entry({ name: Buffer.alloc(0), type: "folder" }), [Buffer.alloc(0)])).toHaveLength(0);
});
