import { hash } from "node:crypto";
import { expect, test } from "vitest";
import { ObjectExistsError } from "./object-store.ts";
import { putNamedByContent } from "./put-named-by-content.ts";
import { MemoryStore } from "./testing/memory-store.ts";

const bytes = Buffer.from("state");
const sha256 = hash("sha256", bytes);
const put = (store: MemoryStore, content = bytes) =>
  putNamedByContent(store, content, (name) => `kept/${name}.json`);

test("the same bytes twice are one object, other bytes another", async () => {
  const store = new MemoryStore();
  expect(await put(store)).toEqual({ key: `kept/${sha256}.json`, sha256 });
  await put(store);
  await put(store, Buffer.from("later state"));
  expect(store.objects.size).toBe(2);
});

test("other bytes under the name do not count as these", async () => {
  const store = new MemoryStore();
  store.objects.set(`kept/${sha256}.json`, Buffer.from("planted"));
  await expect(put(store)).rejects.toThrow(ObjectExistsError);
});
