import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lockFolder } from "#shared/data-folder/lock.ts";
import { OfAnotherMachineError } from "#shared/errors.ts";
import { exitCodeOf } from "../errors.ts";
import { recordedRun } from "../testing/recorded-run.ts";

let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "agent-"));
});
afterEach(() => rm(dataDir, { recursive: true }));

const start = () => recordedRun(["agent", "--data", dataDir]);

test("a second agent on the same folder says which process holds it, and exits", async () => {
  const lock = lockFolder(dataDir, "causeway agent", () => new Date(0));
  const { code, stderr } = await start();
  expect(code).toBe(4);
  expect(stderr).toContain(
    `${dataDir} is in use by causeway agent (process ${process.pid}, since 1970-01-01T00:00:00.000Z)`,
  );
  lock.release();
});

test("an agent refuses a folder that a newer version wrote", async () => {
  await writeFile(join(dataDir, "version.json"), '{"writtenBy":"99.0.0"}');
  const { code, stderr } = await start();
  expect(code).toBe(4);
  expect(stderr).toContain("Run version 99.0.0 or newer on this folder.");
});

test("an agent restricts a folder that other users could read before it stores anything in it", async () => {
  await chmod(dataDir, 0o755);
  await writeFile(join(dataDir, "identity.json"), "{", { mode: 0o644 });
  await start();
  expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
  expect((await stat(join(dataDir, "identity.json"))).mode & 0o777).toBe(0o600);
});

test.each([
  ["sda", "sda"],
  ["sda", "SDA"],
])("two disks called %s and %s are a usage error, before a token is used", async (first, second) => {
  const disks = ["--disk", `${first}=/a`, "--disk", `${second}=/b`];
  const { code, stderr } = await recordedRun(["agent", "--data", dataDir, ...disks]);
  expect(code).toBe(2);
  expect(stderr).toContain("names that differ only by case");
});

const offered = (path: string, ...more: string[]) =>
  recordedRun([
    ...[
      "agent",
      "--data",
      dataDir,
      "--role",
      "source",
      "--url",
      "http://127.0.0.1:1",
      "--enrol",
      "never-sent",
    ],
    ...["--disk", `sda=${path}`, ...more],
  ]);

test.each([
  ["a path that does not exist", "/nonexistent/d.raw", "/nonexistent/d.raw does not exist"],
  ["a folder", "/etc", "disk sda cannot be offered: /etc is neither a file nor a block device"],
  [
    "a character device",
    "/dev/zero",
    "disk sda cannot be offered: /dev/zero is neither a file nor a block device",
  ],
  [
    "an empty file",
    "/dev/null",
    "disk sda cannot be offered: /dev/null is neither a file nor a block device",
  ],
])("%s is refused as a disk before the enrolment token is used", async (_, path, message) => {
  const { code, stderr } = await offered(path);
  expect(code).toBe(4);
  expect(stderr).toContain(message);
  expect(stderr).not.toContain("not enrolled");
});

test("the documented service does not start an agent again that is in a copy of its machine", async () => {
  const inCopy = { dataDir, enrolledOn: undefined, found: "rcv_1" };
  const operations = await readFile(join(import.meta.dirname, "../../docs/operations.md"), "utf8");
  const [, prevented] = /^RestartPreventExitStatus=(\d+)$/m.exec(operations) ?? [];
  expect(exitCodeOf(new OfAnotherMachineError(inCopy))).toBe(Number(prevented));
});
