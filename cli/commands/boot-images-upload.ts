import { hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import {
  BootImageManifest,
  type BootImageUpload,
  MANIFEST_FILE,
  type NewBootImage,
} from "#shared/protocol/boot-image.ts";
import type { ApiClient } from "#shared/protocol/client.ts";
import { bytes } from "#shared/units.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import { type CliCall, type CliCommand, textOption } from "../command.ts";
import { RefusedError } from "../errors.ts";
import { ProgressLine } from "../progress.ts";
import { print } from "../terminal.ts";

const SIGNATURE_FILE = `${MANIFEST_FILE}.sig`;
/** The folder where the builder keeps its keys by default. */
const PUBLIC_KEY = ".config/causeway/boot-image-key.pub.pem";

export const bootImagesUpload: CliCommand = {
  name: "boot-images upload",
  summary: "Uploads a boot image that `npm run boot-image` has built; conversions use it from then on",
  usage: "boot-images upload DIR [--public-key FILE]",
  help: [
    ["--public-key FILE", `public key of the pair that signed it (default: ~/${PUBLIC_KEY})`],
    ...API_HELP,
  ],
  examples: ["causeway boot-images upload .cache/boot-image/3f1c…"],
  options: { ...API_OPTIONS, "public-key": { type: "string" } },
  positionals: ["DIR"],
  async run(call) {
    const api = apiOf(call);
    const dir = resolve(call.arguments.DIR ?? "");
    const image = await readImage(dir, call);
    const known = await completed(api, image);
    if (known) {
      print(call.terminal, call.json, known, () => `${known.id} was uploaded before`);
      return;
    }
    const upload = await api.addBootImage({ body: image });
    const line = new ProgressLine(call.terminal);
    try {
      await putFiles(upload, dir, image, (path, sizeBytes) =>
        line.show(`upload  ${path}  ${bytes(sizeBytes)}`),
      );
    } finally {
      line.end();
    }
    const { id } = upload.image;
    const done = await api.completeBootImage({ parameters: { id } });
    print(call.terminal, call.json, done, () => `${id} is uploaded, and is the newest boot image`);
  },
};

async function readImage(dir: string, call: CliCall): Promise<NewBootImage> {
  const keyFile = textOption(call, "public-key") ?? join(call.environment.HOME ?? "/", PUBLIC_KEY);
  return {
    manifest: await read(join(dir, MANIFEST_FILE), "utf8"),
    signatureBase64: await read(join(dir, SIGNATURE_FILE), "base64"),
    publicKeyPem: await read(resolve(keyFile), "utf8"),
  };
}

async function read(path: string, encoding: "utf8" | "base64"): Promise<string> {
  try {
    return (await readFile(path)).toString(encoding);
  } catch (error) {
    throw new RefusedError(
      `cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`,
      "Name the folder that `npm run boot-image` printed. If the key is elsewhere, give --public-key.",
    );
  }
}

/** The same image, if an earlier upload completed it: its name is the hash of its manifest. */
async function completed(api: ApiClient, { manifest }: NewBootImage) {
  const id = hash("sha256", manifest);
  const { items } = await api.listBootImages({ query: { limit: 200 } });
  return items.find((image) => image.id === id);
}

async function putFiles(
  { bucket, prefix, region, endpoint, credentials, image }: BootImageUpload,
  dir: string,
  { manifest }: NewBootImage,
  tell: (path: string, sizeBytes: number) => void,
): Promise<void> {
  // A large library that only this command needs.
  const { PutObjectCommand, S3Client } = await import("@aws-sdk/client-s3");
  const client = new S3Client({
    region,
    credentials,
    ...(endpoint ? { endpoint, forcePathStyle: true } : {}),
  });
  const { files } = BootImageManifest.parse(JSON.parse(manifest));
  const own = { path: MANIFEST_FILE, sizeBytes: Buffer.byteLength(manifest), sha256: image.id };
  try {
    for (const { path, sizeBytes, sha256 } of [...files, own]) {
      tell(path, sizeBytes);
      const location = join(dir, path);
      const content = await readFile(location);
      if (hash("sha256", content) !== sha256)
        throw new RefusedError(`${location} does not match the manifest`, "Build the image again.");
      const request = new PutObjectCommand({
        Bucket: bucket,
        Key: `${prefix}${path}`,
        Body: content,
        // The bucket's policy requires this header.
        IfNoneMatch: "*",
        // S3 checks it, and stores it with the object.
        ChecksumSHA256: Buffer.from(sha256, "hex").toString("base64"),
      });
      await client.send(request).catch((error: unknown) => {
        // An earlier, interrupted upload left it there; the control plane checks its hash on completion.
        if (!(error instanceof Error) || error.name !== "PreconditionFailed") throw error;
      });
    }
  } finally {
    client.destroy();
  }
}
