/** What each part of the tracker is there for: without it, the tests would find a changed block missing. */
import { describe, expect, test } from "vitest";
import { tool } from "../filesystems/testing/test-image.ts";
import { DelayedWrites } from "./testing/delayed-writes.ts";
import { TrackedDisk, whyUntestable } from "./testing/tracked-disk.ts";

const reason = whyUntestable();
const OFFSET = 2 ** 20;

/** A write is issued, read too early by a pass, and lands. Where the copy is wrong after one more pass. */
async function differingAfterALateLanding(omit: readonly string[]): Promise<number[]> {
  await using delayed = await DelayedWrites.create();
  await using disk = await TrackedDisk.create({
    fileSystem: "none",
    hasDirectIo: true,
    imageFolder: delayed.imageFolder,
    omit,
  });
  await delayed.begin(disk.device, OFFSET);
  await disk.takeDelta();
  await delayed.end();
  await disk.takeDelta();
  return await disk.differing();
}

/** Files are deleted from an XFS that discards them, many in one request. Where the copy is then wrong. */
async function differingAfterDiscards(omit: readonly string[]): Promise<number[]> {
  await using disk = await TrackedDisk.create({
    fileSystem: "xfs",
    sizeMiB: 320,
    mountOptions: "noatime,discard",
    omit,
  });
  const { mountPoint } = disk;
  tool("sh", "-c", `for i in $(seq 400); do head -c 65536 /dev/urandom > ${mountPoint}/$i; done; sync`);
  await disk.takeDelta();
  tool("sh", "-c", `cd ${mountPoint} && ls | sort -R | head -350 | xargs rm; sync -f .; sleep 0; sync -f .`);
  // The discards end before the log is clean; a freeze waits for that.
  const { differing } = await disk.freezeAndCompare();
  return differing;
}

/** Free space is discarded while the file system is frozen. Where the copy is then wrong. */
async function differingAfterAFreezeWithDiscards(omit: readonly string[]): Promise<number[]> {
  await using disk = await TrackedDisk.create({ omit });
  const { mountPoint } = disk;
  tool("sh", "-c", `for i in $(seq 60); do head -c 65536 /dev/urandom > ${mountPoint}/$i; done; sync`);
  tool("sh", "-c", `rm ${mountPoint}/*; sync -f ${mountPoint}`);
  await disk.takeDelta();
  tool("sh", "-c", `date > ${mountPoint}/changed`);
  const { read, differing } = await disk.freezeAndCompare({ during: `fstrim ${mountPoint}` });
  expect(read.outcome).toBe("converged");
  return differing;
}

describe.skipIf(reason !== undefined)(`what the tracker marks ${reason ? `(${reason})` : ""}`, () => {
  test("has a write that lands after a pass has read its granule", async () => {
    expect(await differingAfterALateLanding([])).toEqual([]);
  });
  test("loses that write if completions make no mark", async () => {
    expect(await differingAfterALateLanding(["completion"])).toEqual([OFFSET]);
  });
  test("has that write even if its completion never reaches the tracker", async () => {
    expect(await differingAfterALateLanding(["completion-event"])).toEqual([]);
  });
  test("is not trusted if the kernel counts a write that it did not see at all", async () => {
    await using disk = await TrackedDisk.create({ omit: ["issue", "completion-event"] });
    tool("sh", "-c", `date > ${disk.mountPoint}/changed; sync -f ${disk.mountPoint}`);
    const { reason, bytes } = await disk.takeDelta();
    expect({ reason, bytes }).toEqual({ reason: expect.stringContaining("did not see"), bytes: 0 });
    expect(await disk.differing()).toEqual([]);
  });
  test("has every range of a discard", async () => {
    expect(await differingAfterDiscards([])).toEqual([]);
  });
  test("loses ranges if only the first of a discard is marked", async () => {
    expect((await differingAfterDiscards(["further-ranges"])).length).toBeGreaterThan(0);
  });
  test("has discards that a file system makes while it is frozen", async () => {
    expect(await differingAfterAFreezeWithDiscards([])).toEqual([]);
  });
  test("loses such discards if the frozen read reads only once", async () => {
    expect((await differingAfterAFreezeWithDiscards(["further-reads"])).length).toBeGreaterThan(0);
  });
});
