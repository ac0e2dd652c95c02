import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LocalMachine, readFolder, readText } from "./machine.ts";

const machine = new LocalMachine();

test("a program's output comes with its status, and a program that is not installed is undefined", async () => {
  expect(await machine.run("sh", "-c", "echo found; exit 3")).toEqual({ status: 3, output: "found\n" });
  expect(await machine.run("no-such-program-anywhere")).toBeUndefined();
});

test("files and folders that do not exist are undefined or empty", async () => {
  expect(await machine.read("/no/such/file")).toBeUndefined();
  expect(await machine.read("/proc")).toBeUndefined();
  expect(await machine.list("/no/such/folder")).toEqual([]);
  expect(await machine.resolve("/no/such/link")).toBeUndefined();
  expect(await machine.freeBytes("/no/such/folder")).toBeUndefined();
});

test("files that claim to be empty, as the kernel's do, are read; huge ones only in part", async () => {
  expect(await readText(machine, "/proc/sys/kernel/ostype")).toBe("Linux");
  const folder = await mkdtemp(join(tmpdir(), "machine-"));
  try {
    await writeFile(join(folder, "huge"), Buffer.alloc(3 * 2 ** 20, "x"));
    expect((await machine.read(join(folder, "huge")))?.length).toBe(2 ** 20);
    await writeFile(join(folder, "empty"), "");
    expect((await readFolder(machine, folder)).map((file) => file.path)).toEqual([join(folder, "huge")]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("files of every size below a mebibyte are read whole", async () => {
  const folder = await mkdtemp(join(tmpdir(), "machine-"));
  const path = join(folder, "file");
  try {
    for (const length of [1, 4095, 4096, 4097, 16_384, 65_537, 2 ** 20 - 1, 2 ** 20]) {
      const content = randomBytes(length);
      await writeFile(path, content);
      expect((await machine.read(path))?.equals(content), String(length)).toBe(true);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("reading a file that never answers returns undefined within the limit", async () => {
  const folder = await mkdtemp(join(tmpdir(), "machine-"));
  const pipe = join(folder, "pipe");
  try {
    await machine.run("mkfifo", pipe);
    expect(await new LocalMachine({ answerLimitMs: 50 }).read(pipe)).toBeUndefined();
  } finally {
    // Lets the pending open finish, which holds one of the few threads for files.
    await machine.run("sh", "-c", `exec 3<>${pipe}`);
    await rm(folder, { recursive: true });
  }
});

test("a program that cannot be killed, or whose child keeps its output open, gives no status, within the limit", async () => {
  const began = performance.now();
  const impatient = new LocalMachine({ answerLimitMs: 50 });
  expect(await impatient.run("sh", "-c", "sleep 20 & exec sleep 20")).toEqual({
    status: undefined,
    output: "",
  });
  expect(performance.now() - began).toBeLessThan(15_000);
});
