import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DirectoryInUseError, lockDirectory } from "./directory-lock.ts";

const HOLDER = `
import { lockDirectory } from ${JSON.stringify(new URL("./directory-lock.ts", import.meta.url).href)};
globalThis.held = lockDirectory(process.argv.at(-1));
console.log("held");
setInterval(() => {}, 1000);`;

test("a directory is taken until its holder lets go, or is killed", async () => {
  const directory = await mkdtemp(join(tmpdir(), "lock-"));
  const holder = spawn(process.execPath, ["--input-type=module", "--eval", HOLDER, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  expect(() => lockDirectory(directory)).toThrow(DirectoryInUseError);
  holder.kill("SIGKILL");
  await once(holder, "exit");

  const lock = lockDirectory(directory);
  expect(() => lockDirectory(directory)).toThrow(DirectoryInUseError);
  lock.release();
  lockDirectory(directory).release();
  await rm(directory, { recursive: true });
});
