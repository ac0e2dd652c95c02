import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type { NewBootImage } from "#shared/protocol/boot-image.ts";
import type { ApiClient } from "#shared/protocol/client.ts";

/** Writes a file of an image that was added, whatever is there. */
export type PutFile = (path: string, content: string | Uint8Array) => Promise<void>;

/** Adds an image with all its files, and completes it. */
export async function uploadBootImage(
  api: ApiClient,
  image: { id: string; body: NewBootImage; files: Record<string, string | Uint8Array> },
): Promise<PutFile> {
  const upload = await api.addBootImage({ body: image.body });
  const { bucket, prefix, region, endpoint = "", credentials } = upload;
  const s3 = new S3Client({ region, endpoint, credentials, forcePathStyle: true });
  const put: PutFile = async (path, Body) => {
    await s3.send(
      new PutObjectCommand({ Bucket: bucket, Key: prefix + path, Body, ChecksumAlgorithm: "SHA256" }),
    );
  };
  for (const [path, content] of Object.entries(image.files)) await put(path, content);
  await api.completeBootImage({ parameters: { id: image.id } });
  return put;
}
