/** What a target host does for a recovery point, and for commands that are meant to harm it. */

import { hash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import fc from "fast-check";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { pointKey } from "#shared/format/object-keys.ts";
import type { Point, PointDisk } from "#shared/format/point.ts";
import { sealPoint } from "#shared/format/point.ts";
import type { CommandInput } from "#shared/protocol/commands.ts";
import { captureDisk } from "../capture/capture.ts";
import { TestDisk, testContent } from "../disk/testing/test-disk.ts";
import { qemu } from "../hypervisor/qemu/qemu.ts";
import type { Repository } from "../repository/repository.ts";
import { MemoryStore } from "../store/testing/memory-store.ts";
import { AgentRecords, recordKeyOf } from "./agent-records.ts";
import { bootCheckExecutor } from "./boot-check.ts";
import { ConversionImages, WrittenImages } from "./conversion-images.ts";
import { materialiseExecutor } from "./materialise.ts";
import { releaseExecutor } from "./release.ts";
import { executionContext } from "./testing/execution-context.ts";
import { verifyExecutor } from "./verify.ts";

const MIB = 2 ** 20;
const content = testContent(MIB + 512, 5);
const context = executionContext();
const ids = { ownerId: "cnv_1", sourceId: "agt_1", pointId: "rp_1" };
let dir: string;
const source = { sourceId: "agt_1", dataKey: Buffer.alloc(32, 7) };
let captured: Map<string, Buffer>;
let disk: PointDisk;

beforeAll(async () => {
  const store = new MemoryStore();
  const { disk: mapped } = await captureDisk({
    ...{
      repository: { ...source, store },
      disk: new TestDisk(content),
      diskName: "sda",
      now: () => 0,
      random: Math.random,
    },
    settings: { packBytes: 2 * MIB, knownBlocks: 4096 },
  });
  disk = { ...mapped, consistency: "crash", volumes: [], wholeCopies: [] };
  captured = store.objects;
});
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "causeway-target-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Every file and folder below the test's own, by relative path. */
const everything = () => readdirSync(dir, { recursive: true }).map(String).sort();

/** A target host, and a source whose repository has one disk and a recovery point that `change` altered. */
async function world(change: (disk: PointDisk) => object = (same) => same) {
  const repository: Repository = { ...source, store: new MemoryStore() };
  for (const [key, bytes] of captured) (repository.store as MemoryStore).objects.set(key, bytes);
  const point: Point = {
    ...{ pointId: "rp_1", sourceId: "agt_1", createdAt: "2030-01-01T00:00:00.000Z", parentId: null },
    ...{ agentVersion: "1", disks: [disk] },
  };
  const said = JSON.stringify({ ...point, disks: [change(disk)].flat() });
  const sealed = sealPoint(point, said, { dataKey: repository.dataKey, salt: Buffer.alloc(16, 9) });
  await repository.store.put(pointKey("agt_1", "rp_1"), sealed, { sha256: hash("sha256", sealed) });
  const imagesDir = join(dir, "images");
  const records = new AgentRecords({
    ...{ dataDir: join(dir, "agent"), folder: "written-images", suffix: ".json", schema: WrittenImages },
    key: recordKeyOf({ keyPem: "key" }),
  });
  const images = new ConversionImages(imagesDir, records);
  const deps = { repository: async () => repository, images };
  const release = releaseExecutor((ownerId) => images.remove(ownerId));
  const evidence = new MemoryStore();
  return {
    imagesDir,
    evidence,
    materialise: (wanted: Partial<CommandInput<"materialise">> = {}) =>
      materialiseExecutor(deps)(
        {
          ...ids,
          disks: [{ name: "sda", sizeBytes: disk.sizeBytes }],
          format: "raw",
          ...wanted,
        },
        context,
      ),
    verify: (wanted: Partial<CommandInput<"verify">>) =>
      verifyExecutor(deps)({ ...ids, disks: [], ...wanted }, context),
    bootCheck: (wanted: Partial<CommandInput<"boot-check">>) =>
      bootCheckExecutor({ hypervisor: qemu, images, agentId: "agt_2", evidence })(
        { ...ids, disks: [], firmware: "bios", memoryMiB: 64, timeoutSeconds: 1, ...wanted },
        context,
      ),
    release: (ownerId: string) => release({ ownerId }, context),
  };
}

const written = (path: string, sizeBytes = content.length) => ({
  ...{ name: "sda", path, format: "raw" as const, sizeBytes },
});

test("what was written is verified, and released without a trace", async () => {
  const target = await world();
  const { disks } = await target.materialise();
  expect(disks).toEqual([written(join(target.imagesDir, "cnv_1/sda.raw"))]);
  expect(readFileSync(disks[0]?.path ?? "").equals(content)).toBe(true);
  expect(await target.verify({ disks })).toMatchObject({ bytesVerified: content.length });
  await target.release("cnv_1");
  await target.release("cnv_1");
  expect(readdirSync(target.imagesDir)).toEqual([]);
  await expect(target.verify({ disks })).rejects.toMatchObject({ name: "ImagesNotOursError" });
});

test.each(["../../x", "/etc/cron.d/x", "..", "", "a/b", "sda\0", "CON"])(
  "a recovery point with a disk called %j is refused, and nothing is written anywhere",
  async (name) => {
    const target = await world((disk) => ({ ...disk, name }));
    await expect(target.materialise()).rejects.toMatchObject({ name: "DamagedObjectError" });
    expect(everything()).toEqual([]);
  },
);

test.each<[string, (disk: PointDisk) => object]>([
  ["another disk than was captured", (disk) => ({ ...disk, name: "sdb" })],
  ["one disk more than was captured", (disk) => [disk, { ...disk, name: "sdb" }]],
  ["a larger disk than was captured", (disk) => ({ ...disk, sizeBytes: disk.sizeBytes + 512 })],
])("a recovery point with %s is refused, and nothing is written", async (_, change) => {
  const target = await world(change);
  await expect(target.materialise()).rejects.toMatchObject({ name: "RecoveryPointUnexpectedError" });
  expect(everything()).toEqual([]);
});

test("a recovery point that claims more than there is room for is refused before anything is written", async () => {
  const sizeBytes = 2 ** 49;
  const target = await world((disk) => ({ ...disk, sizeBytes, usedBytes: sizeBytes }));
  const wanted = { disks: [{ name: "sda", sizeBytes, mapRoot: "" }] };
  await expect(target.materialise(wanted)).rejects.toMatchObject({ name: "DiskFullError" });
  expect(readdirSync(join(target.imagesDir, "cnv_1"))).toEqual([]);
});

test("a map that has more than its recovery point claims is refused before more is written", async () => {
  const target = await world((disk) => ({ ...disk, usedBytes: 65_536 }));
  await expect(target.materialise()).rejects.toMatchObject({
    name: "DamagedObjectError",
    message: expect.stringContaining("more than the 65536 bytes"),
  });
  expect(readdirSync(join(target.imagesDir, "cnv_1"))).toEqual([]);
});

test("a map that goes past the end of its disk is refused", async () => {
  const sizeBytes = 4 * 65_536;
  const target = await world((disk) => ({ ...disk, sizeBytes, usedBytes: sizeBytes }));
  const wanted = { disks: [{ name: "sda", sizeBytes, mapRoot: "" }] };
  await expect(target.materialise(wanted)).rejects.toMatchObject({ name: "DamagedObjectError" });
  expect(readdirSync(join(target.imagesDir, "cnv_1"))).toEqual([]);
});

test("a repository of another source than the conversion's is refused", async () => {
  const target = await world();
  await expect(target.materialise({ sourceId: "agt_9" })).rejects.toMatchObject({
    name: "RecoveryPointUnexpectedError",
  });
  expect(everything()).toEqual([]);
});

test("images are verified and booted only if this agent wrote them for this conversion", async () => {
  const target = await world();
  const elsewhere = join(dir, "host.raw");
  writeFileSync(elsewhere, content);
  const refused = async (wanted: Partial<CommandInput<"verify">>) => {
    const before = everything();
    await expect(target.verify(wanted)).rejects.toMatchObject({ name: "ImagesNotOursError" });
    await expect(target.bootCheck(wanted)).rejects.toMatchObject({ name: "ImagesNotOursError" });
    expect(everything()).toEqual(before);
    expect(target.evidence.objects.size).toBe(0);
  };
  await refused({ disks: [written(elsewhere)] });
  mkdirSync(join(target.imagesDir, "cnv_1"), { recursive: true });
  writeFileSync(join(target.imagesDir, "cnv_1/sda.raw"), content);
  await refused({ disks: [written(join(target.imagesDir, "cnv_1/sda.raw"))] });
  rmSync(target.imagesDir, { recursive: true });
  const { disks } = await target.materialise();
  await refused({ disks: [written(elsewhere)] });
  await refused({ ownerId: "cnv_2", disks });
  await refused({ pointId: "rp_2", disks });
  await refused({ sourceId: "agt_9", disks });
  await refused({ disks: disks.map((disk) => ({ ...disk, format: "qcow2" as const })) });
  await refused({ disks: disks.map((disk) => ({ ...disk, sizeBytes: 512 })) });
  await refused({ disks: disks.map((disk) => ({ ...disk, name: "sdb" })) });
  await refused({ disks: [] });
});

test("a release of anything but one of its own conversions removes nothing", async () => {
  const target = await world();
  await target.materialise();
  writeFileSync(join(dir, "precious"), "of the host");
  mkdirSync(join(target.imagesDir, "cnv_2"));
  const before = everything();
  for (const id of ["", ".", "..", "../agent", "../x", "cnv_1/..", "/", "cnv_2", "images", "cnv_1\0"]) {
    await target.release(id).catch(() => undefined);
    expect(everything(), id).toEqual(before);
  }
});

test("a folder that existed before the conversion is neither written to nor removed", async () => {
  const target = await world();
  mkdirSync(join(target.imagesDir, "cnv_1"), { recursive: true });
  writeFileSync(join(target.imagesDir, "cnv_1/sda.raw"), "of the host");
  const before = everything();
  await expect(target.materialise()).rejects.toMatchObject({ name: "ImagesNotOursError" });
  await target.release("cnv_1");
  expect(everything()).toEqual(before);
});

test("a link in place of a conversion's folder is not followed", async () => {
  const target = await world();
  const { disks } = await target.materialise();
  const victim = join(dir, "victim");
  mkdirSync(victim);
  writeFileSync(join(victim, "sda.raw"), content);
  rmSync(join(target.imagesDir, "cnv_1"), { recursive: true });
  symlinkSync(victim, join(target.imagesDir, "cnv_1"));
  for (const act of [
    () => target.materialise(),
    () => target.verify({ disks }),
    () => target.release("cnv_1"),
  ])
    await expect(act()).rejects.toMatchObject({ name: "UntrustedFolderError" });
  expect(existsSync(join(victim, "sda.raw"))).toBe(true);
});

test("a conversion's images are not replaced by those of another recovery point or format", async () => {
  const target = await world();
  const { disks } = await target.materialise();
  await expect(target.materialise({ format: "qcow2" })).rejects.toMatchObject({ name: "ImagesNotOursError" });
  expect(await target.verify({ disks })).toMatchObject({ bytesVerified: content.length });
});

test("whatever a recovery point's disk is called, nothing is written outside its conversion's folder", async () => {
  const name = fc.oneof(
    fc.string({ maxLength: 80 }),
    fc
      .array(fc.constantFrom("..", "/", "\\", "x", "\0", "."), { maxLength: 6 })
      .map((parts) => parts.join("")),
    fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,70}$/),
  );
  await fc.assert(
    fc.asyncProperty(name, async (diskName) => {
      const target = await world((disk) => ({ ...disk, name: diskName }));
      const wanted = { disks: [{ name: diskName, sizeBytes: content.length, mapRoot: "" }] };
      await target.materialise(wanted).catch((error: Error) => expect(error.name).toBe("DamagedObjectError"));
      const outside = everything().filter(
        (path) =>
          !["images", "agent"].includes(path.split("/")[0] ?? "") ||
          (path.startsWith("images/") && relative("images/cnv_1", path).startsWith("..")),
      );
      expect(outside).toEqual([]);
      await target.release("cnv_1");
    }),
    { numRuns: 15 },
  );
});

test("a boot check starts the disk of the source's system, although a data disk also has boot code", async () => {
  const target = await world();
  const { disks } = await target.materialise();
  const path = disks[0]?.path ?? "";
  const tried: string[][] = [];
  const executor = bootCheckExecutor({
    ...{ agentId: "agt_2", evidence: target.evidence },
    images: {
      require: async () => ({
        folder: dir,
        disks: ["sda", "sdb"].map((name) => ({ ...written(path), name, path: `/${name}` })),
      }),
    } as unknown as ConversionImages,
    hypervisor: {
      bootCheck: async ({ disks: given }) => {
        tried.push(given.map((one) => one.path));
        throw new Error("seen");
      },
    },
  });
  const input = { ...ids, disks: [], firmware: "bios", memoryMiB: 64, timeoutSeconds: 1 } as const;
  for (const systemDisks of [["sdb"], [], undefined])
    await expect(executor({ ...input, disks: [], systemDisks }, context)).rejects.toThrow("seen");
  expect(tried).toEqual([
    ["/sdb", "/sda"],
    ["/sda", "/sdb"],
    ["/sda", "/sdb"],
  ]);
});
