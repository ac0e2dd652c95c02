/**
 * Boot images in the bucket: the command line uploads one with rights for that one only, and only sources can
 * read them.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Identity } from "#agent/identity/identity.ts";
import { certificateCredentials } from "#agent/link/credentials.ts";
import { commands } from "#cli/commands.ts";
import { run } from "#cli/run.ts";
import { ControlPlane } from "../testing/control-plane.ts";
import { signedImage, writeImage } from "../testing/signed-image.ts";

let dir: string;
let plane: ControlPlane;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "causeway-boot-images-"));
  plane = await ControlPlane.start();
});
afterAll(async () => {
  await plane.close();
  await rm(dir, { recursive: true });
});

async function image(name: string, kernel: string): Promise<{ id: string; folder: string; key: string }> {
  const folder = join(dir, name);
  const signed = signedImage(kernel);
  return { id: signed.id, folder, key: await writeImage(signed, folder) };
}

async function causeway(...words: string[]) {
  let stdout = "";
  let stderr = "";
  const code = await run([...words, "--json"], commands, {
    environment: { CAUSEWAY_URL: plane.url, CAUSEWAY_TOKEN: plane.token },
    terminal: {
      out: (text) => {
        stdout += text;
      },
      outBytes: async () => undefined,
      err: (text) => {
        stderr += text;
      },
      interactive: false,
      columns: 100,
    },
  });
  return { code, stderr, document: stdout ? JSON.parse(stdout) : undefined };
}

const upload = ({ folder, key }: { folder: string; key: string }) =>
  causeway("boot-images", "upload", folder, "--public-key", key);
const listed = async () =>
  ((await causeway("boot-images", "list")).document.items as { id: string }[]).map(({ id }) => id);

async function s3Of(identity: Identity): Promise<{ s3: S3Client; bucket: string }> {
  const { region, awsEndpoint = "", bucket } = identity.enrolment;
  const credentials = await certificateCredentials(identity)();
  const options = { region, endpoint: awsEndpoint, forcePathStyle: true, credentials, maxAttempts: 1 };
  return { s3: new S3Client(options), bucket };
}

test("images are uploaded, listed newest first, and uploading one again changes nothing", async () => {
  const first = await image("first", "kernel 1");
  expect(await upload(first)).toMatchObject({ code: 0, document: { id: first.id, state: "complete" } });
  const second = await image("second", "kernel 2");
  await upload(second);
  expect(await listed()).toEqual([second.id, first.id]);
  expect(await upload(first)).toMatchObject({ code: 0, document: { id: first.id } });
  expect(await listed()).toEqual([second.id, first.id]);
});

test("an image with a file that does not match the signature is neither uploaded nor listed", async () => {
  const spoilt = await image("spoilt", "kernel 3");
  // The last file but the manifest.
  const script = join(spoilt.folder, "pxe/boot.ipxe");
  const signed = await readFile(script);
  await writeFile(script, "#!other\n");
  const { code, stderr } = await upload(spoilt);
  expect(code).toBe(4);
  expect(stderr).toContain("boot.ipxe does not match the manifest");
  expect(await listed()).not.toContain(spoilt.id);
  await expect(plane.api.completeBootImage({ parameters: { id: spoilt.id } })).rejects.toThrow("is missing");
  // The upload continues where it was interrupted, although nothing can be overwritten.
  await writeFile(script, signed);
  expect(await upload(spoilt)).toMatchObject({ code: 0, document: { id: spoilt.id, state: "complete" } });
});

test("an image signed with a key other than the given one is refused", async () => {
  const { folder } = await image("unsigned", "kernel 4");
  const { key } = await image("other-key", "kernel 5");
  expect(await upload({ folder, key })).toMatchObject({ code: 2 });
});

test("a source reads boot images and cannot write them; a target host does neither", async () => {
  const whole = await image("read", "kernel 6");
  await upload(whole);
  const key = `boot-images/${whole.id}/vmlinuz`;
  const source = await s3Of(await plane.enrol("source", "pine"));
  const { Body } = await source.s3.send(new GetObjectCommand({ Bucket: source.bucket, Key: key }));
  expect(await Body?.transformToString()).toBe("kernel 6");
  const denied = { name: "AccessDenied" };
  await expect(
    source.s3.send(new PutObjectCommand({ Bucket: source.bucket, Key: key, Body: "x" })),
  ).rejects.toMatchObject(denied);
  const target = await s3Of(await plane.enrol("target", "oak"));
  await expect(
    target.s3.send(new GetObjectCommand({ Bucket: target.bucket, Key: key })),
  ).rejects.toMatchObject(denied);
});
