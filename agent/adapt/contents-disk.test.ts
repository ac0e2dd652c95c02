import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { withContentsDisk } from "./contents-disk.ts";
import type { FileChange } from "./messages.ts";

let workDir: string;
let contentsDir: string;

beforeEach(async () => {
  workDir = await mkdtemp(join(tmpdir(), "causeway-contents-"));
  contentsDir = join(workDir, "contents");
  await mkdir(contentsDir);
});
afterEach(() => rm(workDir, { recursive: true }));

async function changeTo(path: string, content: string): Promise<FileChange> {
  const sha256 = createHash("sha256").update(content).digest("hex");
  await writeFile(join(contentsDir, sha256), content);
  return { path, after: { sha256, sizeBytes: content.length }, mode: 0o644, why: ["a test"], diff: "" };
}

test("each content is on the disk at its offset, between zeros that no program takes for a label", async () => {
  const changes = [
    await changeTo("/boot/initrd.img", "initramfs".repeat(300_000)),
    await changeTo("/etc/fstab", "short"),
    await changeTo("/etc/empty", ""),
    { path: "/etc/removed", mode: 0o644, why: ["a test"], diff: "" },
  ];
  await withContentsDisk({ contentsDir, workDir }, changes, async ({ path, offsets }) => {
    const bytes = await readFile(path);
    expect(bytes.length % 512).toBe(0);
    for (const { after } of changes) {
      if (!after) continue;
      const offset = offsets.get(after.sha256) ?? -1;
      expect(offset % 512).toBe(0);
      const content = await readFile(join(contentsDir, after.sha256));
      expect(bytes.subarray(offset, offset + after.sizeBytes).equals(content)).toBe(true);
    }
    const edge = Buffer.alloc(2 ** 20);
    expect(bytes.subarray(0, edge.length).equals(edge) && bytes.subarray(-edge.length).equals(edge)).toBe(
      true,
    );
  });
});

test("files with one content share it", async () => {
  const changes = [await changeTo("/a", "same"), await changeTo("/b", "same")];
  await withContentsDisk({ contentsDir, workDir }, changes, async ({ offsets }) =>
    expect(offsets.size).toBe(1),
  );
});

test("the disk is removed, also if its use does not succeed or a content is not there", async () => {
  const change = await changeTo("/a", "a");
  const failing = withContentsDisk({ contentsDir, workDir }, [change], async () => {
    throw new Error("the guest ended");
  });
  await expect(failing).rejects.toThrow("the guest ended");
  await rm(join(contentsDir, change.after?.sha256 ?? ""));
  await expect(withContentsDisk({ contentsDir, workDir }, [change], async () => {})).rejects.toThrow(
    "ENOENT",
  );
  expect(await readdir(workDir)).toEqual(["contents"]);
});
