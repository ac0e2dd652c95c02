import { chmodSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { thawLeftFrozen } from "./left-frozen.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-left-frozen-"));
});
afterAll(() => rm(dir, { recursive: true }));

/** In the tracker's place: a program that fails with this. */
function failing(code: string, message: string): string {
  const program = join(dir, code);
  writeFileSync(program, `#!/bin/sh\necho '${JSON.stringify({ type: "error", code, message })}'\nexit 1\n`);
  chmodSync(program, 0o755);
  return program;
}

test("an agent of a user who may not use BPF has frozen nothing, so its start says nothing of that", async () => {
  const program = failing("permission", "/sys/fs/bpf/causeway/tracker_1: Permission denied");
  expect(await thawLeftFrozen(dir, program)).toEqual([]);
});

test("an agent that cannot find out what was left frozen says so", async () => {
  const program = failing("io", "/run/causeway/frozen_1 cannot be read");
  expect(await thawLeftFrozen(dir, program)).toEqual([
    expect.stringMatching(/^whether a file system is still frozen is not known: .*cannot be read/),
  ]);
});
