import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type { NewBootImage } from "#shared/protocol/boot-image.ts";
import type { ApiClient } from "#shared/protocol/client.ts";

/** Adds an image with all its files, and completes it. */
export async function uploadBootImage(
  api: ApiClient,
  image: { id: string; body: NewBootImage; files: Record<string, string | Uint8Array> },
): Promise<void> {
  const upload = await api.addBootImage({ body: image.body });
  const { bucket, prefix, region, endpoint = "", credentials } = upload;
  const s3 = new S3Client({ region, endpoint, credentials, forcePathStyle: true });
  for (const [path, Body] of Object.entries(image.files)) {
    const Key = prefix + path;
    await s3.send(
      new PutObjectCommand({ Bucket: bucket, Key, Body, ChecksumAlgorithm: "SHA256", IfNoneMatch: "*" }),
    );
  }
  await api.completeBootImage({ parameters: { id: image.id } });
}
