import { hash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { packKey } from "#shared/format/object-keys.ts";
import { PackBuilder, type PackKind } from "#shared/format/pack.ts";
import { KeptMaps } from "./kept-maps.ts";
import { ObjectNotFoundError } from "./object-store.ts";
import { MemoryStore } from "./testing/memory-store.ts";
import { describeObjectStore } from "./testing/object-store-contract.ts";

const MAX_BYTES = 10 * 4096;
let folder: string;
let nowMs = 0;
const warnings: string[] = [];

class CountingStore extends MemoryStore {
  gets = 0;
  override get(...call: Parameters<MemoryStore["get"]>): Promise<Buffer> {
    this.gets += 1;
    return super.get(...call);
  }
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kept-maps-"));
  warnings.length = 0;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function keptMaps(store = new CountingStore()): { store: KeptMaps; inner: CountingStore } {
  const log = { warn: (message: string) => void warnings.push(message) };
  const options = {
    folder: join(folder, "maps"),
    maxBytes: MAX_BYTES,
    log,
    now: () => new Date(++nowMs * 1000),
  };
  return { store: new KeptMaps(store, options), inner: store };
}

/** A pack of one node, or of no unit. */
function pack(kind: PackKind, node = 0): { key: string; sha256: string; bytes: Buffer } {
  const builder = new PackBuilder({
    ...{ kind, dataKey: Buffer.alloc(32, 7), salt: Buffer.alloc(16, node) },
    origin: { captureId: Buffer.alloc(16), startedAt: 0, diskName: "sda" },
    ...{ buffer: Buffer.alloc(8192), sealing: { scratch: Buffer.alloc(0) } },
  });
  if (kind === "map") builder.addMapNode(Buffer.alloc(100, node), 0, node);
  const { name, bytes } = builder.finish();
  return { key: packKey("s1", name), sha256: name.toString("hex"), bytes };
}

async function putPack(store: KeptMaps, kind: PackKind, node = 0): Promise<ReturnType<typeof pack>> {
  const made = pack(kind, node);
  await store.put(made.key, made.bytes, { sha256: made.sha256 });
  return made;
}

describeObjectStore("what keeps maps", async () => keptMaps().store);

test("a map pack is read without a request, whole or in part, also after a restart", async () => {
  const { store, inner } = keptMaps();
  const { key, bytes } = await putPack(store, "map");
  for (const reader of [store, keptMaps(inner).store]) {
    expect(await reader.get(key)).toEqual(bytes);
    expect(await reader.get(key, { range: { offset: 3, bytes: 20 } })).toEqual(bytes.subarray(3, 23));
    const into = Buffer.alloc(64);
    expect(await reader.get(key, { range: { offset: 3, bytes: 20 }, into })).toEqual(into.subarray(0, 20));
    expect(into.subarray(0, 20)).toEqual(bytes.subarray(3, 23));
  }
  expect(inner.gets).toBe(0);
});

test("data packs and other objects are not kept", async () => {
  const { store, inner } = keptMaps();
  const { key, bytes } = await putPack(store, "data");
  await store.put("sources/s1/key.json", Buffer.from("{}"), { sha256: hash("sha256", "{}") });
  expect(await store.get(key)).toEqual(bytes);
  expect(await store.get("sources/s1/key.json")).toEqual(Buffer.from("{}"));
  expect(inner.gets).toBe(2);
});

test("a kept pack that was changed, cut or emptied is read from the store", async () => {
  const { store, inner } = keptMaps();
  const { key, sha256, bytes } = await putPack(store, "map");
  const path = join(folder, "maps", sha256);
  const changed = Buffer.from(bytes);
  changed.writeUInt8(changed.readUInt8(50) ^ 1, 50);
  for (const damaged of [changed, bytes.subarray(0, 60), Buffer.alloc(0)]) {
    await writeFile(path, damaged);
    expect(await store.get(key)).toEqual(bytes);
    expect(await readdir(join(folder, "maps"))).toEqual([]);
  }
  expect(inner.gets).toBe(3);
});

test("a pack that the store refused is not kept", async () => {
  const { store, inner } = keptMaps();
  inner.put = async () => {
    throw new Error("S3 is away");
  };
  const { key, sha256, bytes } = pack("map");
  await expect(store.put(key, bytes, { sha256 })).rejects.toThrow("S3 is away");
  await expect(store.get(key)).rejects.toThrow(ObjectNotFoundError);
});

test("the folder stays below its bound, and what was used last stays", async () => {
  const { store, inner } = keptMaps();
  const { key: base } = await putPack(store, "map", 0);
  for (let node = 1; node <= 100; node++) {
    await putPack(store, "map", node);
    await store.get(base);
    expect((await readdir(join(folder, "maps"))).length).toBeLessThanOrEqual(10);
  }
  expect(inner.gets).toBe(0);
  const { store: restarted } = keptMaps(inner);
  for (let node = 101; node <= 110; node++) await putPack(restarted, "map", node);
  expect((await readdir(join(folder, "maps"))).length).toBeLessThanOrEqual(10);
});

test("a folder that cannot be written costs requests and a warning, not the capture", async () => {
  await writeFile(join(folder, "maps"), "not a folder");
  const { store, inner } = keptMaps();
  const { key, bytes } = await putPack(store, "map");
  expect(await store.get(key)).toEqual(bytes);
  expect(inner.gets).toBe(1);
  expect(warnings).toEqual(["a part of a disk map is not kept on this machine"]);
});
