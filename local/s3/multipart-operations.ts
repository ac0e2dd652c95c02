import { UnsupportedError } from "../core/aws-error.ts";
import { type Call, header, isoTime, type Operation, queryNumber, xmlResponse } from "./call.ts";
import { CHECKSUM_ALGORITHMS, parseAlgorithm } from "./checksum.ts";
import type { ChecksumAlgorithm } from "./model.ts";
import { MAX_PARTS, type NamedPart, type UploadAddress } from "./multipart.ts";
import {
  ATTRIBUTE_HEADERS,
  checksumHeaders,
  encryptionHeaders,
  requestedEncryption,
  storedHeaders,
  unquote,
  versionHeaders,
  writeConditions,
} from "./object-headers.ts";
import { PAYLOAD_HEADERS, writeContext } from "./object-operations.ts";
import { openPayload, readDocument } from "./payload.ts";
import { S3Error } from "./s3-error.ts";
import { childText, parseXml, type XmlElement } from "./xml.ts";

/** Room for 10,000 parts with every checksum. */
const MAX_DOCUMENT_BYTES = 8 * 1024 ** 2;

const createUpload: Operation = {
  name: "CreateMultipartUpload",
  method: "POST",
  target: "object",
  selector: { uploads: "" },
  headers: [...ATTRIBUTE_HEADERS, "x-amz-checksum-algorithm", "x-amz-checksum-type"],
  async run(call, { access, multipart }) {
    const { caller, bucket, key, request } = call;
    access.check(caller, "s3:PutObject", call, writeContext(call));
    const encryption = requestedEncryption(request, bucket);
    access.checkKey(caller, "kms:GenerateDataKey", encryption, bucket, key);
    const algorithm = parseAlgorithm(header(request, "x-amz-checksum-algorithm"));
    const type = header(request, "x-amz-checksum-type") ?? "COMPOSITE";
    if (type !== "COMPOSITE" || algorithm === "CRC64NVME")
      throw new UnsupportedError("checksums of whole objects that are uploaded in parts");
    const attributes = { headers: storedHeaders(request), encryption };
    const { id } = await multipart.create(bucket, key, attributes, algorithm);
    const checksum: Record<string, string> = algorithm
      ? { "x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": type }
      : {};
    return xmlResponse(
      "InitiateMultipartUploadResult",
      { Bucket: bucket.name, Key: key, UploadId: id },
      { ...encryptionHeaders(encryption), ...checksum },
    );
  },
};

const uploadPart: Operation = {
  name: "UploadPart",
  method: "PUT",
  target: "object",
  selector: { uploadId: undefined, partNumber: undefined },
  headers: PAYLOAD_HEADERS,
  async run(call, { access, multipart }) {
    const { caller, bucket, key, request } = call;
    access.check(caller, "s3:PutObject", call);
    const number = Number(request.query.get("partNumber"));
    if (!Number.isInteger(number) || number < 1 || number > MAX_PARTS)
      throw new S3Error(
        "InvalidArgument",
        `Part number must be an integer between 1 and ${MAX_PARTS}, inclusive`,
      );
    const address = uploadOf(call);
    const upload = multipart.find(address);
    const { encryption } = upload.attributes;
    access.checkKey(caller, "kms:Decrypt", encryption, bucket, key);
    access.checkKey(caller, "kms:GenerateDataKey", encryption, bucket, key);
    requireSameAlgorithm(call, upload.algorithm);
    const part = await multipart.putPart(address, number, openPayload(request, upload.algorithm));
    const { "x-amz-checksum-type": _, ...checksum } = checksumHeaders(part.checksum);
    return {
      status: 200,
      headers: { etag: `"${part.etag}"`, ...checksum, ...encryptionHeaders(encryption) },
    };
  },
};

/** The object's checksum is made from the parts' checksums, so each must use the upload's algorithm. */
function requireSameAlgorithm({ request }: Call, algorithm: ChecksumAlgorithm | undefined): void {
  if (!algorithm) return;
  const names = [...Object.keys(request.headers), String(request.headers["x-amz-trailer"])].map((name) =>
    name.toLowerCase(),
  );
  const other = CHECKSUM_ALGORITHMS.find(
    (one) => one !== algorithm && names.includes(`x-amz-checksum-${one.toLowerCase()}`),
  );
  if (other)
    throw new S3Error(
      "InvalidRequest",
      `Checksum Type mismatch occurred, expected: ${algorithm}, actual: ${other}`,
    );
}

const completeUpload: Operation = {
  name: "CompleteMultipartUpload",
  method: "POST",
  target: "object",
  selector: { uploadId: undefined },
  headers: ["x-amz-checksum-type", "x-amz-mp-object-size"],
  async run(call, { access, multipart }) {
    const { caller, bucket, key, request } = call;
    access.check(caller, "s3:PutObject", call, writeContext(call));
    if ((header(request, "x-amz-checksum-type") ?? "COMPOSITE") !== "COMPOSITE")
      throw new UnsupportedError("checksums of whole objects that are uploaded in parts");
    const parts = parseParts(parseXml(await readDocument(request, MAX_DOCUMENT_BYTES)));
    const expectedSize = header(request, "x-amz-mp-object-size");
    const size = expectedSize === undefined ? undefined : Number(expectedSize);
    const version = await multipart.complete(uploadOf(call), parts, writeConditions(request), size);
    const { checksum, encryption } = version.attributes;
    return xmlResponse(
      "CompleteMultipartUploadResult",
      {
        Location: `/${bucket.name}/${encodeURIComponent(key)}`,
        Bucket: bucket.name,
        Key: key,
        ETag: `"${version.etag}"`,
        ...(checksum
          ? { [`Checksum${checksum.algorithm}`]: checksum.value, ChecksumType: checksum.type }
          : {}),
      },
      { ...versionHeaders(version, bucket), ...encryptionHeaders(encryption) },
    );
  },
};

function parseParts(root: XmlElement): NamedPart[] {
  if (root.name !== "CompleteMultipartUpload" || root.children.length === 0)
    throw new S3Error("MalformedXML");
  return root.children.map((part) => {
    const number = Number(childText(part, "PartNumber"));
    const etag = childText(part, "ETag");
    if (part.name !== "Part" || !Number.isInteger(number) || etag === undefined)
      throw new S3Error("MalformedXML");
    const checksums = CHECKSUM_ALGORITHMS.flatMap((algorithm) => {
      const value = childText(part, `Checksum${algorithm}`);
      return value === undefined ? [] : [[algorithm, value] as const];
    });
    return { number, etag: unquote(etag.trim()), checksums: Object.fromEntries(checksums) };
  });
}

const abortUpload: Operation = {
  name: "AbortMultipartUpload",
  method: "DELETE",
  target: "object",
  selector: { uploadId: undefined },
  async run(call, { access, multipart }) {
    access.check(call.caller, "s3:AbortMultipartUpload", call);
    await multipart.abort(uploadOf(call));
    return { status: 204 };
  },
};

const listParts: Operation = {
  name: "ListParts",
  method: "GET",
  target: "object",
  selector: { uploadId: undefined },
  query: ["max-parts", "part-number-marker"],
  async run(call, { access, multipart }) {
    const { bucket, key } = call;
    access.check(call.caller, "s3:ListMultipartUploadParts", call);
    const address = uploadOf(call);
    const upload = multipart.find(address);
    const marker = queryNumber(call, "part-number-marker", { min: 0, max: MAX_PARTS, default: 0 });
    const maxParts = queryNumber(call, "max-parts", { min: 1, max: 1000, default: 1000 });
    const parts = multipart.parts(address, marker);
    const page = parts.slice(0, maxParts);
    return xmlResponse("ListPartsResult", {
      Bucket: bucket.name,
      Key: key,
      UploadId: upload.id,
      PartNumberMarker: marker,
      NextPartNumberMarker: page.at(-1)?.number ?? marker,
      MaxParts: maxParts,
      IsTruncated: page.length < parts.length,
      StorageClass: "STANDARD",
      ...(upload.algorithm ? { ChecksumAlgorithm: upload.algorithm, ChecksumType: "COMPOSITE" } : {}),
      Part: page.map(({ number, etag, size, modifiedAt, checksum }) => ({
        PartNumber: number,
        LastModified: isoTime(modifiedAt),
        ETag: `"${etag}"`,
        Size: size,
        ...(checksum ? { [`Checksum${checksum.algorithm}`]: checksum.value } : {}),
      })),
    });
  },
};

function uploadOf({ bucket, key, request }: Call): UploadAddress {
  return { bucket, key, uploadId: request.query.get("uploadId") ?? "" };
}

export const MULTIPART_OPERATIONS: readonly Operation[] = [
  createUpload,
  uploadPart,
  completeUpload,
  abortUpload,
  listParts,
];
