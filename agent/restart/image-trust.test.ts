import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { keyFingerprint, publicKeyPem } from "../boot-image/signature.ts";
import { ImageTrust } from "./image-trust.ts";

function dataDir(): string {
  const folder = mkdtempSync(join(tmpdir(), "causeway-trust-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

const aKey = () => publicKeyPem(generateKeyPairSync("ed25519").privateKey);
const untrusted = { name: "BootImageUntrustedError", retryable: false };
const mine = aKey();
const other = aKey();

test("the key of the enrolment is trusted from the first image on, and no other", async () => {
  const folder = dataDir();
  const trust = new ImageTrust(folder, mine);
  await expect(trust.require(other)).rejects.toMatchObject({
    ...untrusted,
    hint: expect.stringContaining("--trust-boot-image-key FILE"),
    details: { signedBy: keyFingerprint(other), trusted: keyFingerprint(mine) },
  });
  expect(readdirSync(folder)).toEqual([]);
  await trust.require(mine);
  expect(await trust.fingerprint()).toBe(keyFingerprint(mine));
});

test("if no key was given at enrolment, the first key that a command names is trusted, and then no other", async () => {
  const folder = dataDir();
  expect(await new ImageTrust(folder, undefined).fingerprint()).toBeUndefined();
  await new ImageTrust(folder, undefined).require(mine);
  await new ImageTrust(folder, undefined).require(mine);
  await expect(new ImageTrust(folder, undefined).require(other)).rejects.toMatchObject(untrusted);
});

test("the machine's administrator can name another key, which then counts instead", async () => {
  const folder = dataDir();
  await new ImageTrust(folder, mine).trust(other);
  await new ImageTrust(folder, mine).require(other);
  await expect(new ImageTrust(folder, mine).require(mine)).rejects.toMatchObject(untrusted);
});

test("the same key with other line ends is the same key", async () => {
  const trust = new ImageTrust(dataDir(), mine);
  await trust.require(mine.trim().replaceAll("\n", "\r\n"));
});

test("only a key of the right kind is ever trusted", async () => {
  const trust = new ImageTrust(dataDir(), undefined);
  const rsa = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const pem = rsa.publicKey.export({ type: "spki", format: "pem" }).toString();
  for (const wrong of ["", "PEM", pem])
    await expect(trust.require(wrong)).rejects.toMatchObject({ name: "BootImageInvalidError" });
  expect(await trust.fingerprint()).toBeUndefined();
});
