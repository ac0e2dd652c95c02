import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { expect, test } from "vitest";
import { apiHandler } from "../middleware/api-handler.ts";
import { request, World } from "../testing/world.ts";
import * as bootImages from "./boot-images.ts";

const key = generateKeyPairSync("ed25519");
const publicKeyPem = key.publicKey.export({ type: "spki", format: "pem" }).toString();
const hash = (text: string) => createHash("sha256").update(text).digest("hex");

function anImage(change: object = {}) {
  const manifest = JSON.stringify({
    format: 1,
    architecture: "x86_64",
    causewayVersion: "0.1.0",
    nodeVersion: "v24",
    kernelRelease: "6.1.0-amd64",
    memoryMiB: 1024,
    drivers: [
      { name: "virtio_net", kind: "network", builtIn: false },
      { name: "bnx2", kind: "network", builtIn: false, lacksFirmware: "firmware-bnx2" },
    ],
    files: [{ path: "vmlinuz", sizeBytes: 6, sha256: hash("kernel") }],
    ...change,
  });
  const signatureBase64 = sign(null, Buffer.from(manifest), key.privateKey).toString("base64");
  return { id: hash(manifest), body: { manifest, signatureBase64, publicKeyPem } };
}

async function start() {
  const world = await World.start();
  const { store, uploads, objects, clock } = world;
  const place = { bucket: "bucket", region: "local-1", awsEndpoint: "http://aws.local" };
  const { handler: _, ...operations } = bootImages;
  const build = () => ({ store, uploads, objects, clock, ...place });
  const handler = apiHandler({ name: "api/boot-images", build, operations }, world.runtime);
  return {
    world,
    add: (body: object) => request(handler, "POST /boot-images", {}, { body }),
    complete: (id: string) => request(handler, "POST /boot-images/{id}/complete", { id }),
    list: async () => {
      const { body } = await request(handler, "GET /boot-images");
      return (body.items as { id: string }[]).map(({ id }) => id);
    },
    put: (id: string, path: string, content: string, sha256: string | undefined = hash(content)) =>
      world.objects.objects.set(`boot-images/${id}/${path}`, { sizeBytes: content.length, sha256 }),
  };
}

test("an image can be used once all files of its manifest are uploaded", async () => {
  const { world, add, put, complete, list } = await start();
  const { id, body } = anImage();
  const added = await add(body);
  expect(added).toMatchObject({
    status: 201,
    body: {
      prefix: `boot-images/${id}/`,
      endpoint: "http://aws.local",
      image: { id, state: "incomplete", system: "linux", drivers: ["virtio_net"] },
    },
  });
  expect(await list()).toEqual([]);
  put(id, "vmlinuz", "kernel");
  put(id, "manifest.json", body.manifest);
  expect(await complete(id)).toMatchObject({ status: 200, body: { state: "complete" } });
  expect(await list()).toEqual([id]);
  expect((await world.store.bootImages.newest())?.id).toBe(id);
  expect(world.uploads.grants).toEqual([`${id} to ada`]);
  expect(await world.audited()).toEqual([
    `ada boot-image-added ${id} done`,
    `ada boot-image-completed ${id} done`,
  ]);
  // No caller gets rights to overwrite an image in use, and completing it again changes nothing.
  expect((await add(body)).status).toBe(409);
  expect((await complete(id)).status).toBe(200);
});

test.each<[string, (put: (path: string, content: string, sha256?: string) => void) => void, string]>([
  ["a file is missing", () => undefined, "vmlinuz is missing"],
  ["a file has another length", (put) => put("vmlinuz", "kernels"), "vmlinuz has different bytes"],
  ["a file has different bytes", (put) => put("vmlinuz", "kernal"), "vmlinuz has different bytes"],
  [
    "a file was uploaded without its hash",
    (put) => put("vmlinuz", "kernel", ""),
    "vmlinuz has different bytes",
  ],
])("an image is not used if %s", async (_, spoil, message) => {
  const { add, put, complete, list } = await start();
  const { id, body } = anImage();
  await add(body);
  put(id, "manifest.json", body.manifest);
  spoil((path, content, sha256) => put(id, path, content, sha256));
  expect(await complete(id)).toMatchObject({
    status: 409,
    body: { detail: expect.stringContaining(message) },
  });
  expect(await list()).toEqual([]);
});

test("an interrupted upload continues", async () => {
  const { add, put, complete } = await start();
  const { id, body } = anImage();
  await add(body);
  expect((await add(body)).status).toBe(201);
  put(id, "vmlinuz", "kernel");
  put(id, "manifest.json", body.manifest);
  expect((await complete(id)).status).toBe(200);
});

const other = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" }).toString();
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;

test.each<[string, object, string]>([
  ["signed with another key", { publicKeyPem: other }, "signatureBase64"],
  ["changed after it was signed", { manifest: anImage({ memoryMiB: 1 }).body.manifest }, "signatureBase64"],
  [
    "with a key of another kind",
    { publicKeyPem: ec.export({ type: "spki", format: "pem" }) },
    "publicKeyPem",
  ],
  ["with an invalid key", { publicKeyPem: "key" }, "publicKeyPem"],
  ["whose manifest is not JSON", { manifest: "{" }, "manifest"],
  ["whose manifest lacks its files", anImage({ files: [] }).body, "manifest.files"],
  [
    "with a file outside its folder",
    anImage({ files: [{ path: "../x", sizeBytes: 1, sha256: hash("x") }] }).body,
    "manifest.files.0.path",
  ],
])("an image %s is refused, and the field is named", async (_, change, path) => {
  const { world, add } = await start();
  const answer = await add({ ...anImage().body, ...change });
  expect(answer).toMatchObject({ status: 400, body: { fields: [{ path }] } });
  expect(world.uploads.grants).toEqual([]);
});

test("an image that was never added cannot be completed", async () => {
  const { complete } = await start();
  expect((await complete("a".repeat(64))).status).toBe(404);
});
