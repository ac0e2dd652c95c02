import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { link, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FrameParser } from "../frames.ts";
import { ReplyChecker, type ReplyPart } from "../reply.ts";
import { answerPath } from "./answer.ts";
import { NothingThereError } from "./path-inside.ts";

let root: string;
const odd = Buffer.from([0xff, 0x0a, 0x1b, 0x5b]);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "guest-answer-"));
  await mkdir(join(root, "etc/deep/deeper"), { recursive: true });
  await writeFile(join(root, "etc/hosts"), "127.0.0.1 localhost\n");
  await utimes(join(root, "etc/hosts"), 1_600_000_000, new Date(-5000));
  await writeFile(Buffer.concat([Buffer.from(`${root}/etc/`), odd]), "odd");
  await writeFile(join(root, "etc/deep/large"), Buffer.alloc(700_001, "large "));
  await symlink("/etc", join(root, "absolute"));
  await symlink("../../../../../../etc/hosts", join(root, "etc/climbing"));
  await symlink("loop", join(root, "loop"));
  await symlink("/../../tmp", join(root, "out"));
  execFileSync("mkfifo", [join(root, "etc/pipe")]);
});
// It also removes what has too long a path.
afterAll(() => execFileSync("rm", ["-rf", root]));

async function asked(ask: "list" | "content", path: string | Buffer): Promise<ReplyPart[]> {
  const parser = new FrameParser();
  const checker = new ReplyChecker(ask);
  const parts: ReplyPart[] = [];
  await answerPath(Buffer.from(root), { ask, path: Buffer.from(path) }, async (bytes) => {
    for (const frame of parser.add(bytes)) {
      const part = checker.take(frame);
      // A view of memory that is used again.
      if (part) parts.push(part.kind === "data" ? { ...part, bytes: Buffer.from(part.bytes) } : part);
    }
  });
  return parts;
}

const pathsIn = (parts: readonly ReplyPart[]) =>
  parts.flatMap((part) =>
    part.kind === "entry"
      ? [Buffer.concat(part.path.flatMap((name) => [Buffer.from("/"), name])).toString("latin1")]
      : [],
  );
const bytesIn = (parts: readonly ReplyPart[]) =>
  Buffer.concat(parts.flatMap((part) => (part.kind === "data" ? [part.bytes] : [])));

test("a list has what is directly in the folder, by the bytes of the names, and no content", async () => {
  const parts = await asked("list", "/etc");
  expect(pathsIn(parts)).toEqual([
    "/etc",
    "/etc/climbing",
    "/etc/deep",
    "/etc/hosts",
    "/etc/pipe",
    `/etc/${odd.toString("latin1")}`,
  ]);
  expect(bytesIn(parts)).toHaveLength(0);
  expect(parts[3]).toMatchObject({
    entry: { type: "file", sizeBytes: 20, modifiedSeconds: -5 },
  });
  expect(parts[1]).toMatchObject({
    entry: { type: "link", target: Buffer.from("../../../../../../etc/hosts") },
  });
});

test("content has the whole tree, with the bytes of every file", async () => {
  const parts = await asked("content", "etc/deep/");
  expect(pathsIn(parts)).toEqual(["/deep", "/deep/deeper", "/deep/large"]);
  expect(bytesIn(parts).equals(Buffer.alloc(700_001, "large "))).toBe(true);
  expect(bytesIn(await asked("content", Buffer.concat([Buffer.from("/etc/"), odd]))).toString()).toBe("odd");
});

test("a file with several names has its bytes once, and each further name leads to the first", async () => {
  await mkdir(join(root, "names/inside"), { recursive: true });
  await writeFile(join(root, "names/b"), "once");
  await link(join(root, "names/b"), join(root, "names/inside/c"));
  await link(join(root, "names/b"), join(root, "names/a"));
  await link(join(root, "etc/hosts"), join(root, "names/outside"));
  const parts = await asked("content", "/names");
  expect(pathsIn(parts)).toEqual([
    "/names",
    "/names/a",
    "/names/b",
    "/names/inside",
    "/names/inside/c",
    "/names/outside",
  ]);
  expect(bytesIn(parts).toString()).toBe("once127.0.0.1 localhost\n");
  const firsts = parts.flatMap((part) => (part.kind === "entry" && part.first ? [part.first.join("/")] : []));
  expect(firsts).toEqual(["names/a", "names/a"]);
  expect((await asked("list", "/names")).every((part) => !("first" in part))).toBe(true);
});

test.skipIf(!existsSync("/dev/shm"))(
  "a file of 8 PiB is listed, and says why it cannot be written",
  async () => {
    const folder = await mkdtemp("/dev/shm/guest-answer-");
    try {
      execFileSync("truncate", ["--size", String(2n ** 53n + 2n), join(folder, "huge")]);
      const inside = async (ask: "list" | "content") => {
        const parser = new FrameParser();
        const entries: unknown[] = [];
        await answerPath(Buffer.from(folder), { ask, path: Buffer.from("/") }, async (bytes) => {
          for (const frame of parser.add(bytes)) entries.push(JSON.parse(frame.content.toString()));
        });
        return entries;
      };
      expect(await inside("list")).toContainEqual(
        expect.objectContaining({ sizeBytes: Number.MAX_SAFE_INTEGER }),
      );
      await expect(inside("content")).rejects.toThrow("huge has more bytes than can be written");
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);

test("links on the way are followed within the volume, and nothing above its top is reached", async () => {
  expect(pathsIn(await asked("list", "/absolute/hosts"))).toEqual(["/hosts"]);
  expect(pathsIn(await asked("list", "/../../etc/../etc/./hosts"))).toEqual(["/hosts"]);
  expect(pathsIn(await asked("list", "/"))[0]).toBe("/");
  // The folder `tmp` of this machine exists; the volume has none.
  await expect(asked("list", "/out/x")).rejects.toThrow(NothingThereError);
});

test.each(["/nothing", "/etc/hosts/x", "/loop/x", `/${"n".repeat(300)}`])("there is no %s", async (path) => {
  await expect(asked("list", path)).rejects.toThrow(NothingThereError);
});

test.each([
  ["/etc/climbing", "link"],
  ["/etc/pipe", "pipe"],
])("%s has no content to write", async (path, type) => {
  await expect(asked("content", path)).rejects.toMatchObject({ why: "not a file", message: type });
});

test("content of folders that are nested more deeply than a path can say is complete", async () => {
  const [name, depth] = ["d".repeat(200), 40];
  const inside = `mkdir ${name} && cd -P ${name}`;
  const commands = [
    `cd ${root}`,
    "mkdir nested",
    "cd nested",
    ...Array(depth).fill(inside),
    "echo deep > file",
  ];
  execFileSync("sh", ["-ec", commands.join("\n")]);
  const parts = await asked("content", "/nested");
  expect(pathsIn(parts).at(-1)).toHaveLength("/nested".length + depth * (1 + name.length) + "/file".length);
  expect(bytesIn(parts).toString()).toBe("deep\n");
});
