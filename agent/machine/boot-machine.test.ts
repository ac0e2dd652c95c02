import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { VolumeNotMountedError } from "#shared/errors.ts";
import { FileLocation, VolumeMap } from "../boot-loaders/volumes.ts";
import { flushFileSystems, LocalBootMachine } from "./boot-machine.ts";
import { eraseFile, replaceFile } from "./durable.ts";

const machine = new LocalBootMachine();
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "boot-machine-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("a path that does not exist is undefined; one that cannot be read is an error", async () => {
  const path = join(folder, "absent");
  expect(await machine.status(path)).toBeUndefined();
  expect(await machine.contents(path)).toBeUndefined();
  expect(await machine.hash(path)).toBeUndefined();
  await machine.unlink(path);
  await machine.deleteVariable(path);
  expect(await machine.removeFolder(path)).toBe(true);
  await expect(machine.contents(folder)).rejects.toMatchObject({ code: "EISDIR" });
});

test("times are set to the nanosecond if GNU touch is installed, and nothing else changes", async () => {
  const path = join(folder, "file");
  await machine.create(path, Buffer.from("content"), 0o600);
  const attributes = { mode: 0o640, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  await machine.setAttributes(path, { ...attributes, modifiedNs: 1_600_000_000_123_456_789n });
  const status = await machine.status(path);
  expect(status).toMatchObject({ ...attributes, kind: "file", sizeBytes: 7 });
  const apart = (status?.modifiedNs ?? 0n) - 1_600_000_000_123_456_789n;
  expect(apart > -1000n && apart < 1000n).toBe(true);
});

test("without GNU touch times are set within a microsecond", async () => {
  class Busybox extends LocalBootMachine {
    override run = async () => ({ status: 1, output: "touch: invalid date" });
  }
  const path = join(folder, "file");
  await machine.create(path, Buffer.from("content"), 0o600);
  const before = await machine.status(path);
  if (!before) throw new Error("no file");
  const modifiedNs = 1_700_000_001_987_654_321n;
  await new Busybox().setAttributes(path, { ...before, modifiedNs });
  const apart = ((await machine.status(path))?.modifiedNs ?? 0n) - modifiedNs;
  expect(apart > -1000n && apart < 1000n).toBe(true);
});

test("writing over a file keeps its inode and length, and never follows a link", async () => {
  const path = join(folder, "file");
  await writeFile(path, "0123456789");
  const { ino } = await stat(path);
  await machine.overwrite(path, Buffer.from("abc"), 4);
  expect(await readFile(path, "utf8")).toBe("0123abc789");
  expect((await stat(path)).ino).toBe(ino);
  await symlink(path, join(folder, "link"));
  await expect(machine.overwrite(join(folder, "link"), Buffer.from("x"))).rejects.toMatchObject({
    code: "ELOOP",
  });
  await expect(machine.overwrite(join(folder, "absent"), Buffer.from("x"))).rejects.toMatchObject({
    code: "ENOENT",
  });
});

test("a file is replaced as a whole, with the permissions asked for whatever the umask", async () => {
  const path = join(folder, "file");
  await replaceFile(machine, path, Buffer.from("new"), { mode: 0o666 });
  expect((await stat(path)).mode & 0o777).toBe(0o666);
  expect(await machine.list(folder)).toEqual(["file"]);
});

test("a secret's blocks are overwritten before its name is removed", async () => {
  const path = join(folder, "secret");
  await writeFile(path, Buffer.alloc(5_000_000, "key"));
  const seen: number[] = [];
  class Watched extends LocalBootMachine {
    override async unlink(each: string): Promise<void> {
      seen.push((await readFile(each)).findIndex((byte) => byte !== 0));
      return super.unlink(each);
    }
  }
  await eraseFile(new Watched(), path, true);
  expect(seen).toEqual([-1]);
  expect(await machine.status(path)).toBeUndefined();
});

test("flushing a busy server may take longer than the machine has to answer a question", async () => {
  const hurried = new LocalBootMachine({ answerLimitMs: 1 });
  await hurried.flush([folder]);
});

const GNU_HELP =
  "Usage: sync [OPTION] [FILE]...\n  -f, --file-system   sync the file systems that contain the files\n";
const BUSYBOX_HELP =
  "BusyBox v1.35.0 multi-call binary.\n\nUsage: sync\n\nWrite all buffered blocks to disk\n";

/** A machine with this `sync`, and the calls it got. */
function withSync(help: string, answer: { status: number | undefined; output: string }) {
  const asked: string[] = [];
  const run = async (...words: string[]) => {
    if (words[1] === "--help") return { status: 0, output: help };
    asked.push(words.join(" "));
    return answer;
  };
  return { run, asked };
}

test.each([
  {
    help: GNU_HELP,
    command: "sync -f /boot/grub /boot/causeway/1",
    about: "only the given file systems",
  },
  { help: BUSYBOX_HELP, command: "sync", about: "all file systems, if sync cannot flush only some" },
])("flushes $about", async ({ help, command }) => {
  const { run, asked } = withSync(help, { status: 0, output: "" });
  await flushFileSystems({ run }, ["/boot/grub", "/boot/causeway/1"]);
  expect(asked).toEqual([command]);
});

test.each([
  {
    help: GNU_HELP,
    status: 1,
    output: "sync: error syncing '/boot': Input/output error\n",
    why: "Input/output error",
  },
  { help: BUSYBOX_HELP, status: 1, output: "sync: I/O error", why: "I/O error" },
  { help: GNU_HELP, status: undefined, output: "", why: "did not end in time" },
])(
  "a flush that fails ($why) is an error, and is not hidden by a second one",
  async ({ help, status, output, why }) => {
    const { run, asked } = withSync(help, { status, output });
    await expect(flushFileSystems({ run }, ["/boot"])).rejects.toMatchObject({
      name: "BootFilesNotFlushedError",
      message: expect.stringContaining(why),
      hint: expect.stringContaining("dmesg"),
    });
    expect(asked).toHaveLength(1);
  },
);

test("a machine without sync cannot be flushed", async () => {
  await expect(flushFileSystems({ run: async () => undefined }, ["/boot"])).rejects.toMatchObject({
    name: "BootFilesNotFlushedError",
    message: expect.stringContaining("not installed"),
  });
});

test("a folder that is not empty stays", async () => {
  await machine.makeFolder(join(folder, "a"), 0o700);
  await machine.create(join(folder, "a/b"), Buffer.alloc(0), 0o600);
  expect(await machine.removeFolder(join(folder, "a"))).toBe(false);
});

test("a variable is written whole over an existing one", async () => {
  const path = join(folder, "BootNext-x");
  await machine.writeVariable(path, Buffer.from([7, 0, 0, 0, 1, 0]));
  await chmod(path, 0o644);
  await machine.writeVariable(path, Buffer.from([7, 0, 0, 0, 2, 0]));
  expect(await readFile(path)).toEqual(Buffer.from([7, 0, 0, 0, 2, 0]));
});

test("a saved location is found wherever its file system is mounted, and refused if it is not mounted", () => {
  const volumes = VolumeMap.of({ "uuid-1": "/mnt/root", "uuid-2": "/mnt/boot" });
  expect(volumes.pathOf({ volume: "uuid-2", path: "/grub/grubenv" })).toBe("/mnt/boot/grub/grubenv");
  expect(volumes.locationOf("/mnt/boot/grub/grubenv")).toEqual({ volume: "uuid-2", path: "/grub/grubenv" });
  expect(() => volumes.pathOf({ volume: "uuid-3", path: "/x" })).toThrow(VolumeNotMountedError);
  for (const path of ["/a/../../etc/passwd", "relative", "/a//b"]) {
    expect(FileLocation.safeParse({ volume: "uuid-1", path }).success).toBe(false);
  }
});

test("a bind mount or subvolume shows only its part of a file system", () => {
  const part = {
    uuid: "u",
    type: "ext4",
    mountPoint: "/boot",
    root: "/srv/boot",
    writable: true,
    device: "",
    source: "",
  };
  const volumes = new VolumeMap([part]);
  expect(volumes.locationOf("/boot/grub")).toEqual({ volume: "u", path: "/srv/boot/grub" });
  expect(volumes.pathOf({ volume: "u", path: "/srv/boot/grub" })).toBe("/boot/grub");
  expect(() => volumes.pathOf({ volume: "u", path: "/etc" })).toThrow(VolumeNotMountedError);
});
