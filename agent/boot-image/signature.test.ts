import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BootImageInvalidError } from "#shared/errors.ts";
import { encodeManifest, imageId } from "./manifest.ts";
import { hashFile, publicKeyPem, signingKey, signManifest, verifyBootImage } from "./signature.ts";
import { aManifest } from "./testing/a-manifest.ts";

let dir: string;
let id: string;
let publicKey: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "boot-image-signature-"));
  await writeFile(join(dir, "vmlinuz"), "kernel");
  const manifest = aManifest({ files: [{ path: "vmlinuz", ...(await hashFile(join(dir, "vmlinuz"))) }] });
  const bytes = encodeManifest(manifest);
  const key = await signingKey(join(dir, "keys"));
  publicKey = publicKeyPem(key);
  id = imageId(bytes);
  await writeFile(join(dir, "manifest.json"), bytes);
  await writeFile(join(dir, "manifest.json.sig"), signManifest(bytes, key));
});

afterEach(() => rm(dir, { recursive: true, force: true }));

test("an image verifies with the public half of the key that signed it", async () => {
  const manifest = await verifyBootImage(dir, publicKey, id);
  expect(manifest.files.map(({ path }) => path)).toEqual(["vmlinuz"]);
});

test("a file that was changed is refused", async () => {
  await writeFile(join(dir, "vmlinuz"), "kernex");
  await expect(verifyBootImage(dir, publicKey, id)).rejects.toThrow(BootImageInvalidError);
});

test("a manifest that was changed is refused", async () => {
  await writeFile(join(dir, "manifest.json"), "{}");
  await expect(verifyBootImage(dir, publicKey)).rejects.toThrow("not signed with the expected key");
});

test("a signature of the wrong length, or of another key, is refused", async () => {
  const other = publicKeyPem(await signingKey(join(dir, "other")));
  await expect(verifyBootImage(dir, other, id)).rejects.toThrow(BootImageInvalidError);
  await writeFile(join(dir, "manifest.json.sig"), "short");
  await expect(verifyBootImage(dir, publicKey, id)).rejects.toThrow(BootImageInvalidError);
});

test("a well-signed image is refused if another one was requested", async () => {
  await expect(verifyBootImage(dir, publicKey, "0".repeat(64))).rejects.toThrow(`is ${id}`);
});

test("the key is created once, readable by its owner only", async () => {
  const again = await signingKey(join(dir, "keys"));
  expect(publicKeyPem(again)).toBe(publicKey);
  expect((await stat(join(dir, "keys/boot-image-key.pem"))).mode & 0o777).toBe(0o600);
  expect((await stat(join(dir, "keys"))).mode & 0o777).toBe(0o700);
});
