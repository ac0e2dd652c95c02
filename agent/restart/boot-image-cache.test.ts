import { generateKeyPairSync, hash } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { encodeManifest, imageId } from "../boot-image/manifest.ts";
import { publicKeyPem, signManifest } from "../boot-image/signature.ts";
import { aManifest } from "../boot-image/testing/a-manifest.ts";
import { LocalBootMachine } from "../machine/boot-machine.ts";
import { MemoryStore } from "../store/testing/memory-store.ts";
import { BootImageCache } from "./boot-image-cache.ts";

const signal = new AbortController().signal;
const machine = new LocalBootMachine();
const folder = () => mkdtempSync(join(tmpdir(), "causeway-boot-image-"));

async function imageInStore(kernel = Buffer.from("kernel")) {
  const store = new MemoryStore();
  const put = (key: string, bytes: Buffer) => store.put(key, bytes, { sha256: hash("sha256", bytes) });
  const manifest = encodeManifest(
    aManifest({
      kernelRelease: "6.1.0",
      files: [{ path: "vmlinuz", sizeBytes: 6, sha256: hash("sha256", Buffer.from("kernel")) }],
    }),
  );
  const { privateKey } = generateKeyPairSync("ed25519");
  const id = imageId(manifest);
  await put(`boot-images/${id}/manifest.json`, manifest);
  await put(`boot-images/${id}/vmlinuz`, kernel);
  const image = {
    id,
    manifestKey: `boot-images/${id}/manifest.json`,
    signatureBase64: signManifest(manifest, privateKey).toString("base64"),
    publicKeyPem: publicKeyPem(privateKey),
    secureBootSigned: false,
    files: [{ name: "vmlinuz", key: `boot-images/${id}/vmlinuz`, sizeBytes: 6, sha256: "0".repeat(64) }],
  };
  return { store, image };
}

const invalid = { name: "BootImageInvalidError" };

test("a valid image is fetched whole", async () => {
  const { store, image } = await imageInStore();
  const cache = new BootImageCache({ folder: folder(), store, machine, trust: async () => {} });
  await cache.fetch(image, ["vmlinuz"], signal);
  expect(await readFile(join(cache.folderOf(image.id), "vmlinuz"), "utf8")).toBe("kernel");
});

test("a file that is present is not fetched again, and a file that is there only in part is", async () => {
  const { store, image } = await imageInStore();
  const cache = new BootImageCache({ folder: folder(), store, machine, trust: async () => {} });
  await cache.fetch(image, ["vmlinuz"], signal);
  const path = join(cache.folderOf(image.id), "vmlinuz");
  const { mtimeMs } = await stat(path);
  await cache.fetch(image, ["vmlinuz"], signal);
  expect((await stat(path)).mtimeMs).toBe(mtimeMs);
  await writeFile(path, "ker");
  await cache.fetch(image, ["vmlinuz"], signal);
  expect(await readFile(path, "utf8")).toBe("kernel");
});

test("a file that does not match the signed manifest is refused, and fetched again from then on", async () => {
  const { store, image } = await imageInStore(Buffer.from("evil!!"));
  const cache = new BootImageCache({ folder: folder(), store, machine, trust: async () => {} });
  await expect(cache.fetch(image, ["vmlinuz"], signal)).rejects.toMatchObject(invalid);
  store.objects.set(`boot-images/${image.id}/vmlinuz`, Buffer.from("kernel"));
  await cache.fetch(image, ["vmlinuz"], signal);
  expect(await readFile(join(cache.folderOf(image.id), "vmlinuz"), "utf8")).toBe("kernel");
});

test("a file that the manifest does not name is refused, and not created", async () => {
  const { store, image } = await imageInStore();
  const cache = new BootImageCache({ folder: folder(), store, machine, trust: async () => {} });
  await expect(cache.fetch(image, ["initrd.zst"], signal)).rejects.toMatchObject(invalid);
  expect(await readdir(cache.folderOf(image.id))).toEqual(["manifest.json", "manifest.json.sig"]);
});

test("no file of an image whose key is not trusted is fetched or written", async () => {
  const { image } = await imageInStore();
  const place = folder();
  const untrusted = new Error("another key");
  const cache = new BootImageCache({
    ...{ folder: place, store: new MemoryStore(), machine },
    trust: () => Promise.reject(untrusted),
  });
  await expect(cache.fetch(image, ["vmlinuz"], signal)).rejects.toBe(untrusted);
  expect(await readdir(place)).toEqual([]);
});

test("a manifest with another signature, or another id, is refused", async () => {
  const { store, image } = await imageInStore();
  const cache = new BootImageCache({ folder: folder(), store, machine, trust: async () => {} });
  const other = (await imageInStore()).image;
  const forged = { ...image, signatureBase64: other.signatureBase64 };
  await expect(cache.fetch(forged, ["vmlinuz"], signal)).rejects.toMatchObject(invalid);
  const id = "f".repeat(64);
  store.objects.set(
    `boot-images/${id}/manifest.json`,
    store.objects.get(image.manifestKey) ?? Buffer.alloc(0),
  );
  await expect(cache.fetch({ ...image, id }, ["vmlinuz"], signal)).rejects.toMatchObject(invalid);
  for (const each of [image.id, id]) expect(await readdir(cache.folderOf(each))).toEqual([]);
});

test("an image's files are read at the keys that follow from its id, whatever the control plane says", async () => {
  const { store, image } = await imageInStore();
  const cache = new BootImageCache({ folder: folder(), store, machine, trust: async () => {} });
  const elsewhere = { ...image, manifestKey: "sources/agt_1/points/rp_1", files: [] };
  expect(await cache.fetch(elsewhere, ["vmlinuz"], signal)).toMatchObject({ kernelRelease: "6.1.0" });
});

test("an image for which the control plane claims more than its manifest says is refused", async () => {
  const { store, image } = await imageInStore();
  const cache = new BootImageCache({ folder: folder(), store, machine, trust: async () => {} });
  const boasted = { ...image, secureBootSigned: true };
  await expect(cache.fetch(boasted, ["vmlinuz"], signal)).rejects.toMatchObject(invalid);
  expect(await readdir(cache.folderOf(image.id))).toEqual([]);
});
