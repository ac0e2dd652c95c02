import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Log } from "#shared/log.ts";
import { isRoot, tool } from "../filesystems/testing/test-image.ts";
import { SavedStarts } from "./saved-starts.ts";

const WAITING_GUEST = join(import.meta.dirname, "testing/waiting-guest.pl");
const never = new AbortController().signal;
const path = process.env.PATH;
let dir: string;
let warnings: unknown[];
let starts: SavedStarts;

const log: Log = { info: () => {}, warn: (_, fields) => warnings.push(fields?.error), error: () => {} };
const newAgent = (limitMs?: number) =>
  new SavedStarts({ folder: join(dir, "starts"), log, ...(limitMs !== undefined && { limitMs }) });

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-saved-starts-"));
  // QEMU runs as another user.
  await chmod(dir, 0o755);
  await mkdir(join(dir, "log"));
  await writeFile(join(dir, "log/starts"), "");
  await chmod(join(dir, "log/starts"), 0o666);
  await copyFile(WAITING_GUEST, join(dir, "qemu-system-x86_64"));
  await chmod(join(dir, "qemu-system-x86_64"), 0o755);
  for (const name of ["kernel", "ram-disk"]) await writeFile(join(dir, name), name);
  process.env.PATH = `${dir}:${path}`;
  warnings = [];
  starts = newAgent();
});
afterEach(async () => {
  process.env.PATH = path;
  await rm(dir, { recursive: true });
});

const guest = (imageId = "image-1") => ({
  ...{ imageId, kernel: join(dir, "kernel"), ramDisk: join(dir, "ram-disk"), commandLine: "console=ttyS0" },
  ...{ memoryMiB: 64, cpuCount: 1, disks: [], workDir: dir, portName: "port", verify: async () => undefined },
});

/** Starts a guest and ends it. */
async function startOne(agent = starts, imageId?: string, signal = never): Promise<void> {
  const { machine } = await agent.start(guest(imageId), signal);
  await machine.stop();
}

/** What QEMU was started for, in order. */
const seen = async () => (await readFile(join(dir, "log/starts"), "utf8")).trim().split("\n");
const files = async (imageId = "image-1") => readdir(join(dir, "starts", imageId));
const break_ = (what: "cannot-save" | "cannot-resume" | "hangs" | "upgraded") =>
  writeFile(join(dir, what), "");

test("the first guest saves a start, and each guest resumes from it, also after the agent was restarted", async () => {
  await startOne();
  await startOne();
  await startOne(newAgent());
  expect(await seen()).toEqual(["saved", "resumed", "resumed", "resumed"]);
  expect(warnings).toEqual([]);
});

test("guests that start at the same time save one start", async () => {
  await Promise.all([startOne(), startOne(), startOne()]);
  expect((await seen()).filter((what) => what === "saved")).toHaveLength(1);
  expect(await files()).toHaveLength(1);
});

test("a damaged file is removed, the guest starts from the beginning, and the next one saves again", async () => {
  await startOne();
  const [file = ""] = await files();
  await truncate(join(dir, "starts/image-1", file), 20);
  await startOne();
  expect(await files()).toEqual([]);
  await startOne();
  const made = (await seen()).filter((what) => what !== "resumed");
  expect(made).toEqual(["saved", "started", "saved"]);
});

test("a changed byte is noticed before the guest gets its disks", async () => {
  await startOne();
  const [file = ""] = await files();
  const from = join(dir, "starts/image-1", file);
  // Whole and readable, and not what its name says.
  await copyFile(from, join(dir, "starts/image-1", file.replace(/-.{64}/, `-${"0".repeat(64)}`)));
  await rm(from);
  await startOne();
  expect(warnings).toEqual([expect.stringContaining("is damaged")]);
  expect((await seen()).at(-1)).toBe("started");
});

test("a guest that cannot be resumed is started", async () => {
  await startOne();
  await break_("cannot-resume");
  await startOne();
  expect((await seen()).slice(-2)).toEqual(["resumed", "started"]);
  expect(warnings).toHaveLength(1);
});

// https://lore.kernel.org/qemu-devel/20260114195659.2543649-4-peterx@redhat.com/
test("where guests cannot be resumed at all, they start, and saving is not tried each time", async () => {
  await break_("cannot-resume");
  await startOne();
  await startOne();
  expect(await seen()).toEqual(["saved", "resumed", "started", "started"]);
  expect(await files()).toEqual([]);
});

test("a QEMU since 9.1 resumes from the file by a name", async () => {
  await break_("upgraded");
  await startOne();
  await startOne();
  expect(await seen()).toEqual(["saved", "resumed", "resumed"]);
  expect(warnings).toEqual([]);
});

test("where nothing can be saved, guests start, and saving is not tried each time", async () => {
  await break_("cannot-save");
  await startOne();
  await startOne();
  expect(await seen()).toEqual(["saved", "started", "started"]);
  expect(await files()).toEqual([]);
});

// https://github.com/lxc/incus/issues/2517
test("a guest whose QEMU waits without end for its state is started", async () => {
  await startOne();
  await break_("hangs");
  await startOne(newAgent(1000));
  expect((await seen()).slice(-2)).toEqual(["resumed", "started"]);
  expect(warnings).toEqual([expect.stringContaining("did not answer within 1 s")]);
});

// https://github.com/sandia-minimega/minimega/issues/1445
test("a guest whose QEMU never finishes a state is started", async () => {
  await break_("hangs");
  await startOne(newAgent(1000));
  expect(await seen()).toEqual(["saved", "started"]);
  expect(await files()).toEqual([]);
  expect(warnings).toEqual([expect.stringContaining("does not save")]);
});

// https://github.com/sandia-minimega/minimega/issues/847
test("another version of QEMU resumes nothing of the earlier one, which is removed", async () => {
  await startOne();
  await break_("upgraded");
  await startOne();
  expect(await seen()).toEqual(["saved", "resumed", "saved", "resumed"]);
  expect(await files()).toHaveLength(1);
});

test("two agents that share a folder resume no state of which each has written a part", async () => {
  await Promise.all([startOne(newAgent()), startOne(newAgent())]);
  await startOne(newAgent());
  expect((await seen()).filter((what) => what !== "started").length).toBeGreaterThan(2);
  for (const one of await files()) expect(one).not.toContain("partial");
});

test.skipIf(!isRoot)("a folder on a full disk keeps nothing, and guests start", async () => {
  await mkdir(join(dir, "starts"));
  tool("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", join(dir, "starts"));
  try {
    await startOne();
    expect(await seen()).toEqual(["started"]);
    expect(warnings).toEqual([expect.stringContaining("too little free space")]);
    expect(await files()).toEqual([]);
  } finally {
    tool("umount", join(dir, "starts"));
  }
});

test("only starts of the image that is used are kept", async () => {
  await startOne();
  await startOne(starts, "image-2");
  expect(await readdir(join(dir, "starts"))).toEqual(["image-2"]);
});

test("a cancel while a start is saved ends it, and says nothing about saving", async () => {
  const cancel = new AbortController();
  const starting = startOne(starts, undefined, cancel.signal);
  cancel.abort(new Error("cancelled"));
  await expect(starting).rejects.toThrow("cancelled");
  await startOne();
  expect((await seen()).slice(-2)).toEqual(["saved", "resumed"]);
});
