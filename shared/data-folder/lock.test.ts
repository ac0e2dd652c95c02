import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FolderInUseError } from "./errors.ts";
import { lockFolder } from "./lock.ts";

let folder: string;
const now = () => new Date("2030-01-02T03:04:05.000Z");
const lock = (program = "causeway agent") => lockFolder(folder, program, now);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lock-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const HOLDER = `
import { lockFolder } from ${JSON.stringify(new URL("./lock.ts", import.meta.url).href)};
globalThis.held = lockFolder(process.argv.at(-1), "causeway up", () => new Date("2030-01-01T00:00:00.000Z"));
console.log("held");
setInterval(() => {}, 1000);`;

test("a folder is taken until its holder is killed, and the refusal names the holder", async () => {
  const holder = spawn(process.execPath, ["--input-type=module", "--eval", HOLDER, folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  const message = `${folder} is in use by causeway up (process ${holder.pid}, since 2030-01-01T00:00:00.000Z)`;
  expect(() => lock()).toThrow(new FolderInUseError(folder, message.split(" by ")[1] ?? ""));
  holder.kill("SIGKILL");
  await once(holder, "exit");
  lock().release();
});

test("a folder can be taken again after its holder has released it", () => {
  const first = lock();
  expect(() => lock()).toThrow(FolderInUseError);
  first.release();
  lock().release();
});

test("a folder in use is refused even if the note about its holder is damaged", async () => {
  const first = lock();
  await writeFile(join(folder, "lock.json"), "{");
  expect(() => lock()).toThrow(`${folder} is in use by another process`);
  first.release();
});

test("only the owner can read the folder that the lock creates", async () => {
  const created = join(folder, "new");
  lockFolder(created, "causeway agent", now).release();
  expect((await stat(created)).mode & 0o777).toBe(0o700);
  expect((await stat(join(created, "lock.sqlite"))).mode & 0o777).toBe(0o600);
});

test("a folder that cannot be written is not called in use", async () => {
  await writeFile(
    join(folder, "lock.sqlite"),
    "this is no database, and it is long enough to be read as one",
  );
  expect(() => lock()).not.toThrow(FolderInUseError);
  expect(() => lock()).toThrow();
  await chmod(folder, 0o700);
});
