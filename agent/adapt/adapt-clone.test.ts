import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { encodeManifest } from "../boot-image/manifest.ts";
import { hashFile } from "../boot-image/signature.ts";
import { aManifest } from "../boot-image/testing/a-manifest.ts";
import { applyToClone } from "./adapt-clone.ts";
import { aWantedMachine } from "./testing/a-system.ts";

let dir: string;
const path = process.env.PATH;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-adapt-clone-"));
  // Also for the user that QEMU would run as.
  await chmod(dir, 0o755);
  const names = ["vmlinux.zst", "initrd.zst"];
  for (const name of names) await writeFile(join(dir, name), zstdCompressSync(name));
  const files = names.map(async (name) => ({ path: name, ...(await hashFile(join(dir, name))) }));
  await writeFile(join(dir, "manifest.json"), encodeManifest(aManifest({ files: await Promise.all(files) })));
  // A guest that never says anything.
  await writeFile(join(dir, "qemu-system-x86_64"), "#!/bin/sh\nexec sleep 600\n", { mode: 0o755 });
  process.env.PATH = `${dir}:${path}`;
});
afterEach(async () => {
  vi.useRealTimers();
  process.env.PATH = path;
  await rm(dir, { recursive: true });
});

/** An adaptation that changes nothing. */
const applyNothing = (signal?: AbortSignal) =>
  applyToClone(
    { imageFolder: dir, disks: [], workDir: dir, contentsDir: join(dir, "contents"), signal },
    { disks: [], wanted: aWantedMachine(), inputs: {}, changes: [], commands: [], notes: [] },
  );

test("a cancel that comes before the guest is started ends it as one that comes later", async () => {
  for (const waitMs of [0, 500]) {
    const cancel = new AbortController();
    const cancelled = expect(applyNothing(cancel.signal)).rejects.toMatchObject({ name: "AbortError" });
    setTimeout(() => cancel.abort(), waitMs);
    await cancelled;
  }
}, 20_000);

test("a guest that is still starting when its hours are over says so, and what that means for the disks", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const late = expect(applyNothing()).rejects.toMatchObject({
    ...{ name: "SystemNotAdaptedError", message: expect.stringContaining("longer than 3 hours") },
    hint: expect.stringContaining("Do not start the machine"),
  });
  // One for those hours, and one for the guest's first word.
  await vi.waitFor(() => expect(vi.getTimerCount()).toBe(2));
  vi.advanceTimersByTime(3 * 3_600_000);
  await late;
}, 20_000);
