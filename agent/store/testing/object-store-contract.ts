import { hash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { ObjectExistsError, ObjectNotFoundError, type ObjectStore } from "../object-store.ts";

const put = (store: ObjectStore, key: string, bytes: Buffer) =>
  store.put(key, bytes, { sha256: hash("sha256", bytes) });

const keys = async (store: ObjectStore, prefix: string) => {
  const found: string[] = [];
  for await (const { key, sizeBytes } of store.list(prefix)) found.push(`${key} ${sizeBytes}`);
  return found;
};

/** What every object store must do. `open` returns an empty one. */
export function describeObjectStore(name: string, open: () => Promise<ObjectStore>): void {
  describe(`${name} as an object store`, () => {
    test("returns what was put, whole and in ranges", async () => {
      const store = await open();
      const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, at) => at % 251));
      await put(store, "sources/a/one", bytes);
      expect((await store.get("sources/a/one")).equals(bytes)).toBe(true);
      const range = { offset: 65_000, bytes: 1000 };
      expect((await store.get("sources/a/one", { range })).equals(bytes.subarray(65_000, 66_000))).toBe(true);
      const into = Buffer.alloc(2000);
      const part = await store.get("sources/a/one", { range, into });
      expect(part.buffer).toBe(into.buffer);
      expect(part.equals(bytes.subarray(65_000, 66_000))).toBe(true);
    });

    test("returns the existing part of a range that reaches beyond the end", async () => {
      const store = await open();
      await put(store, "short", Buffer.from("0123456789"));
      expect((await store.get("short", { range: { offset: 8, bytes: 100 } })).toString()).toBe("89");
    });

    test("keeps an empty object", async () => {
      const store = await open();
      await put(store, "empty", Buffer.alloc(0));
      expect(await store.get("empty")).toHaveLength(0);
    });

    test("refuses to put an object that exists, and keeps the old one", async () => {
      const store = await open();
      await put(store, "once", Buffer.from("first"));
      await expect(put(store, "once", Buffer.from("second"))).rejects.toThrow(ObjectExistsError);
      expect((await store.get("once")).toString()).toBe("first");
    });

    test("lets exactly one of several writers put an object", async () => {
      const store = await open();
      const results = await Promise.allSettled(
        ["a", "b", "c", "d"].map((text) => put(store, "raced", Buffer.from(text))),
      );
      expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      const winner = results.findIndex(({ status }) => status === "fulfilled");
      expect((await store.get("raced")).toString()).toBe("abcd"[winner]);
    });

    test("refuses bytes that do not have the hash", async () => {
      const store = await open();
      const wrong = store.put("wrong", Buffer.from("x"), { sha256: hash("sha256", "y") });
      await expect(wrong).rejects.toThrow();
      await expect(store.get("wrong")).rejects.toThrow(ObjectNotFoundError);
    });

    test("lists by prefix in order, and an empty prefix as empty", async () => {
      const store = await open();
      for (const key of ["b/2", "a/2", "a/1", "a/12"]) await put(store, key, Buffer.from(key));
      expect(await keys(store, "a/1")).toEqual(["a/1 3", "a/12 4"]);
      expect(await keys(store, "c/")).toEqual([]);
      await expect(store.get("c/1")).rejects.toThrow(ObjectNotFoundError);
    });

    test("waits for its pace before it sends each slice", async () => {
      const store = await open();
      const bytes = Buffer.alloc(700_000, 5);
      let paced = 0;
      const pace = async (count: number) => {
        paced += count;
      };
      await store.put("paced", bytes, { sha256: hash("sha256", bytes), pace });
      expect(paced).toBe(bytes.length);
    });
  });
}
