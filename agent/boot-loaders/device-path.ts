/** One node of a UEFI device path. Only node types that arming creates have names; the others stay bytes. */
export type DevicePathNode =
  | { kind: "hard-drive"; partition: HardDrivePartition }
  | { kind: "file"; path: string }
  | { kind: "other"; type: number; subType: number; data: Buffer };

/** Where a partition is, in the terms of the firmware, which finds it by its signature. */
export interface HardDrivePartition {
  number: number;
  startBlock: bigint;
  blocks: bigint;
  /** Its GUID on a GPT; the disk's signature (`0x…`) on an MBR. */
  signature: { format: "gpt"; guid: string } | { format: "mbr"; number: number };
}

const MEDIA = 0x04;
const HARD_DRIVE = 0x01;
const FILE_PATH = 0x04;
const END = 0x7f;
const END_ENTIRE = 0xff;
const HEADER_BYTES = 4;
const HARD_DRIVE_BYTES = 42;
const FORMAT = { mbr: 1, gpt: 2 } as const;

/** The nodes and the end node as bytes. */
export function encodeDevicePath(nodes: readonly DevicePathNode[]): Buffer {
  return Buffer.concat([...nodes.map(encodeNode), node(END, END_ENTIRE, Buffer.alloc(0))]);
}

/** Returns `undefined` if the bytes are not a whole device path of one instance. */
export function decodeDevicePath(bytes: Buffer): DevicePathNode[] | undefined {
  const nodes: DevicePathNode[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const [type = 0, subType = 0] = bytes.subarray(at, at + 2);
    const length = bytes.readUInt16LE(at + 2);
    if (length < HEADER_BYTES || at + length > bytes.length) return undefined;
    if (type === END) {
      const isLast = subType === END_ENTIRE && length === HEADER_BYTES && at + length === bytes.length;
      return isLast ? nodes : undefined;
    }
    nodes.push(decodeNode(type, subType, bytes.subarray(at + HEADER_BYTES, at + length)));
    at += length;
  }
  return undefined;
}

function encodeNode(each: DevicePathNode): Buffer {
  if (each.kind === "other") return node(each.type, each.subType, each.data);
  if (each.kind === "file") return node(MEDIA, FILE_PATH, Buffer.from(`${each.path}\0`, "utf16le"));
  const { number, startBlock, blocks, signature } = each.partition;
  const data = Buffer.alloc(HARD_DRIVE_BYTES - HEADER_BYTES);
  data.writeUInt32LE(number, 0);
  data.writeBigUInt64LE(startBlock, 4);
  data.writeBigUInt64LE(blocks, 12);
  if (signature.format === "gpt") encodeGuid(signature.guid).copy(data, 20);
  else data.writeUInt32LE(signature.number, 20);
  data[36] = FORMAT[signature.format];
  // Both signature types have the numbers of their formats.
  data[37] = FORMAT[signature.format];
  return node(MEDIA, HARD_DRIVE, data);
}

function node(type: number, subType: number, data: Buffer): Buffer {
  const length = HEADER_BYTES + data.length;
  if (length > 0xffff) throw new RangeError("a node of a device path is too long");
  return Buffer.concat([Buffer.from([type, subType, length & 0xff, length >>> 8]), data]);
}

/** Returns a known node only if encoding it gives the same bytes again. */
function decodeNode(type: number, subType: number, data: Buffer): DevicePathNode {
  const other: DevicePathNode = { kind: "other", type, subType, data };
  const known = type === MEDIA ? decodeMedia(subType, data) : undefined;
  return known && encodeNode(known).equals(encodeNode(other)) ? known : other;
}

function decodeMedia(subType: number, data: Buffer): DevicePathNode | undefined {
  if (subType === FILE_PATH && data.length >= 2) {
    return { kind: "file", path: data.toString("utf16le", 0, data.length - 2) };
  }
  if (subType !== HARD_DRIVE || data.length !== HARD_DRIVE_BYTES - HEADER_BYTES) return undefined;
  const isGpt = data[36] === FORMAT.gpt;
  return {
    kind: "hard-drive",
    partition: {
      number: data.readUInt32LE(0),
      startBlock: data.readBigUInt64LE(4),
      blocks: data.readBigUInt64LE(12),
      signature: isGpt
        ? { format: "gpt", guid: decodeGuid(data.subarray(20, 36)) }
        : { format: "mbr", number: data.readUInt32LE(20) },
    },
  };
}

/** The first three groups of a GUID are little-endian numbers. */
function encodeGuid(guid: string): Buffer {
  const groups = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i.exec(guid);
  if (!groups) throw new RangeError(`${guid} is not a GUID`);
  const [, first = "", second = "", third = "", ...rest] = groups;
  const reversed = [first, second, third].map((group) => Buffer.from(group, "hex").reverse());
  return Buffer.concat([...reversed, Buffer.from(rest.join(""), "hex")]);
}

function decodeGuid(bytes: Buffer): string {
  const little = [bytes.subarray(0, 4), bytes.subarray(4, 6), bytes.subarray(6, 8)].map((group) =>
    Buffer.from(group).reverse().toString("hex"),
  );
  return [...little, bytes.toString("hex", 8, 10), bytes.toString("hex", 10)].join("-");
}
