import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { writeOverlay } from "../boot-image/overlay.ts";
import { bundleAgent } from "./agent-bundle.ts";
import { linkRequirements } from "./elf.ts";
import { writeInitrd } from "./initrd.ts";
import { agentPart } from "./rootfs.ts";

const execute = promisify(execFile);

const SOURCES = {
  "agent/main.ts": `
    import { Worker } from "node:worker_threads";
    declare const CAUSEWAY_VERSION: string;
    const { greet } = await import("./deep/greet.ts");
    new Worker(greet).on("message", (text: string) => console.log(text, CAUSEWAY_VERSION));
  `,
  "agent/deep/greet.ts": `export const greet = new URL("./greet-worker.ts", import.meta.url);`,
  "agent/deep/greet-worker.ts": `
    import { parentPort } from "node:worker_threads";
    parentPort?.postMessage("hello from a thread of");
  `,
};

async function inRepository<T>(use: (root: string) => Promise<T>): Promise<T> {
  const root = await mkdtemp(join(tmpdir(), "agent-bundle-"));
  try {
    for (const [path, text] of Object.entries(SOURCES)) {
      await mkdir(join(root, path, ".."), { recursive: true });
      await writeFile(join(root, path), text);
    }
    return await use(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

const bundled = (root: string) => bundleAgent({ entry: join(root, "agent/main.ts"), root, version: "1.2.3" });

test("the bundle runs with its worker threads and the parts that it loads later, from any folder", () =>
  inRepository(async (root) => {
    const out = join(root, "out");
    await mkdir(out);
    for (const [name, data] of await bundled(root)) await writeFile(join(out, name), data);
    expect((await readdir(out)).sort()).toEqual([
      expect.stringMatching(/^greet-[A-Z0-9]{8}\.mjs$/),
      ...["greet-worker.mjs", "main.mjs"],
    ]);
    const { stdout } = await execute(process.execPath, [join(out, "main.mjs")]);
    expect(stdout).toBe("hello from a thread of 1.2.3\n");
  }));

test("the same sources in another folder give the same RAM disk, byte for byte", async () => {
  const build = (root: string) =>
    bundled(root).then((scripts) =>
      writeInitrd([agentPart({ node: Buffer.from("node"), scripts })], 1_000_000),
    );
  const first = await inRepository(build);
  const second = await inRepository(build);
  expect(second.equals(first)).toBe(true);
  // Anything appended starts where the kernel looks for it.
  expect(first.length % 512).toBe(0);
});

test("a job's overlay is readable by root only, at any depth", () => {
  const archive = writeOverlay(new Map([["identity/key.pem", Buffer.from("secret")]])).toString("latin1");
  const modes = [...archive.matchAll(/070701.{8}(.{8}).{80}.{8}([a-zT][\w/.!]*)/g)].map(
    ([, mode = "", path]) => [path, Number.parseInt(mode, 16).toString(8)],
  );
  expect(modes.slice(0, -1)).toEqual([
    ["causeway", "40700"],
    ["causeway/overlay", "40700"],
    ["causeway/overlay/identity", "40700"],
    ["causeway/overlay/identity/key.pem", "100600"],
  ]);
});

test.each(["../etc/passwd", "/etc/passwd", "a//b", "a/../b", ""])(
  "a job's file cannot be called %j",
  (name) => {
    expect(() => writeOverlay(new Map([[name, Buffer.alloc(1)]]))).toThrow(RangeError);
  },
);

test("a program's libraries and loader are read from the program", async () => {
  const requirements = linkRequirements(await readFile(process.execPath));
  expect(requirements?.interpreter).toBe("/lib64/ld-linux-x86-64.so.2");
  expect(requirements?.needed).toContain("libc.so.6");
  expect(linkRequirements(Buffer.from("#!/bin/sh\n"))).toBeUndefined();
});
