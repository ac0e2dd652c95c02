import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { aDisk } from "#shared/domain/testing/records.ts";
import type { Disk } from "#shared/protocol/inventory.ts";
import { DiskNames } from "./disk-names.ts";

const disk = (name: string, serial: string, sizeBytes = 2 ** 30): Disk => aDisk(name, { serial, sizeBytes });

/** An agent's data folder, and the names that an agent which is started in it gives. */
async function agentFolder() {
  const dataDir = await mkdtemp(join(tmpdir(), "causeway-disk-names-"));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const lines: unknown[] = [];
  const note = (message: string, details?: unknown) => void lines.push([message, details]);
  const log = { info: note, warn: note, error: note };
  const start = () => new DiskNames({ dataDir, log });
  return { file: join(dataDir, "disk-names.json"), lines, start };
}
const shown = (disks: readonly Disk[]) => disks.map(({ name, path }) => `${name}=${path}`);

test("disks keep their names when the kernel exchanges them at a restart", async () => {
  const { start, lines } = await agentFolder();
  expect(shown(await start().named([disk("sda", "A"), disk("sdb", "B")]))).toEqual([
    "sda=/dev/sda",
    "sdb=/dev/sdb",
  ]);
  expect(lines).toEqual([]);
  const restarted = start();
  expect(shown(await restarted.named([disk("sda", "B"), disk("sdb", "A")]))).toEqual([
    "sdb=/dev/sda",
    "sda=/dev/sdb",
  ]);
  expect(JSON.stringify(lines)).toContain("sda is /dev/sdb now");
  expect(shown(await restarted.named([disk("sda", "A"), disk("sdb", "B")]))).toEqual([
    "sda=/dev/sda",
    "sdb=/dev/sdb",
  ]);
});

test("a disk that was away for a while has its name again", async () => {
  const { start } = await agentFolder();
  await start().named([disk("sda", "A"), disk("sdb", "B")]);
  expect(shown(await start().named([disk("sda", "A")]))).toEqual(["sda=/dev/sda"]);
  expect(shown(await start().named([disk("sda", "new"), disk("sdb", "A"), disk("sdc", "B")]))).toEqual([
    "sdc=/dev/sda",
    "sda=/dev/sdb",
    "sdb=/dev/sdc",
  ]);
});

test("a disk that grew keeps its name, and the file has its new size", async () => {
  const { start, file } = await agentFolder();
  await start().named([disk("sda", "A"), disk("sdb", "B")]);
  await start().named([disk("sda", "B", 2 ** 31), disk("sdb", "A")]);
  expect(JSON.parse(await readFile(file, "utf8"))).toContainEqual(
    expect.objectContaining({ name: "sdb", serial: "B", sizeBytes: 2 ** 31 }),
  );
});

test("calls at the same time agree", async () => {
  const { start } = await agentFolder();
  const names = start();
  const all = await Promise.all(
    ["A", "B", "C"].map((_, turn) =>
      names.named(
        turn % 2 === 0 ? [disk("sda", "A"), disk("sdb", "B")] : [disk("sda", "B"), disk("sdb", "A")],
      ),
    ),
  );
  for (const disks of all) {
    expect(disks.find(({ serial }) => serial === "A")?.name).toBe("sda");
    expect(disks.find(({ serial }) => serial === "B")?.name).toBe("sdb");
  }
});

test("names that cannot be read are not guessed", async () => {
  const { start, file } = await agentFolder();
  await start().named([disk("sda", "A")]);
  await writeFile(file, '[{"name": "sda"');
  const names = start();
  await expect(names.named([disk("sda", "B")])).rejects.toMatchObject({ name: "FolderFileDamagedError" });
  expect(await readFile(file, "utf8")).toBe('[{"name": "sda"');
});
