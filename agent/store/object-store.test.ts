import { hash } from "node:crypto";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ObjectExistsError, type ObjectStore, type PutOptions, TransientStoreError } from "./object-store.ts";
import { RetryingStore, type StoreTrouble } from "./retrying-store.ts";
import { DirectoryStore } from "./testing/directory-store.ts";
import { MemoryStore } from "./testing/memory-store.ts";
import { describeObjectStore } from "./testing/object-store-contract.ts";

describeObjectStore("memory", async () => new MemoryStore());
describeObjectStore("a folder", async () => new DirectoryStore(await mkdtemp(join(tmpdir(), "store-"))));
describeObjectStore("a retrying store", async () => retrying(new FlakyStore(0)).store);

/** Fails every `nth` call after, not before, doing the work: the harder case. */
class FlakyStore extends MemoryStore {
  failures: number;
  constructor(failures: number) {
    super();
    this.failures = failures;
  }
  override async put(key: string, bytes: Uint8Array, options: PutOptions): Promise<void> {
    await super.put(key, bytes, options);
    if (this.failures-- > 0) throw new TransientStoreError("the answer was lost");
  }
}

function retrying(inner: ObjectStore): { store: RetryingStore; delays: number[] } {
  const delays: number[] = [];
  const sleep = async (ms: number) => {
    delays.push(ms);
  };
  return { store: new RetryingStore(inner, { random: () => 0.5, sleep }), delays };
}

const bytes = Buffer.from("content");
const options = { sha256: hash("sha256", bytes) };

test("a put whose answer is lost succeeds when repeated, though no object is overwritten", async () => {
  const { store, delays } = retrying(new FlakyStore(1));
  await store.put("key", bytes, options);
  expect(delays).toEqual([150]);
});

test("another writer's object is not taken for our own lost answer", async () => {
  class Raced extends MemoryStore {
    override async put(key: string, mine: Uint8Array, opts: PutOptions): Promise<void> {
      if (this.objects.has(key)) return super.put(key, mine, opts);
      this.objects.set(key, Buffer.from("theirs"));
      throw new TransientStoreError("reset");
    }
  }
  await expect(retrying(new Raced()).store.put("key", bytes, options)).rejects.toThrow(ObjectExistsError);
});

class Unreachable extends MemoryStore {
  override async put(): Promise<void> {
    throw new TransientStoreError("the answer was lost");
  }
}

test("pauses grow but are limited, and the last error is thrown", async () => {
  const { store, delays } = retrying(new Unreachable());
  const failing = store.put("key", bytes, options);
  await expect(failing).rejects.toThrow("the answer was lost");
  expect(delays).toHaveLength(9);
  expect(delays.at(-1)).toBe(22_500);
});

test("a store that fails again and again is reported with each pause, a single failure is not", async () => {
  const troubles: StoreTrouble[] = [];
  const onTrouble = (trouble: StoreTrouble) => troubles.push(trouble);
  const told = (inner: ObjectStore) =>
    new RetryingStore(inner, { random: () => 0.5, sleep: async () => {}, onTrouble });
  await told(new FlakyStore(1)).put("key", bytes, options);
  expect(troubles).toEqual([]);
  await expect(told(new Unreachable()).put("key", bytes, options)).rejects.toThrow(TransientStoreError);
  expect(troubles).toHaveLength(8);
  expect(troubles[0]).toEqual({ problem: "the answer was lost", failures: 2, pauseMs: 300 });
});

test("a listing that breaks off continues after the last key returned", async () => {
  class Breaking extends MemoryStore {
    breaks = 2;
    override async *list(prefix: string) {
      for await (const object of super.list(prefix)) {
        if (object.key === "c" && this.breaks-- > 0) throw new TransientStoreError("torn");
        yield object;
      }
    }
  }
  const inner = new Breaking();
  for (const key of ["a", "b", "c", "d"]) await inner.put(key, bytes, options);
  const keys: string[] = [];
  for await (const { key } of retrying(inner).store.list("")) keys.push(key);
  expect(keys).toEqual(["a", "b", "c", "d"]);
});
