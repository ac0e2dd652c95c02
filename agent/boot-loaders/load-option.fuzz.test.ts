import fc from "fast-check";
import { expect, test } from "vitest";
import { type DevicePathNode, decodeDevicePath, encodeDevicePath } from "./device-path.ts";
import { decodeLoadOption, encodeLoadOption, type LoadOption } from "./load-option.ts";

const text = fc.string({ maxLength: 30 }).filter((each) => !each.includes("\0"));
const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((each) => Buffer.from(each));
const unsigned64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const unsigned32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

const node: fc.Arbitrary<DevicePathNode> = fc.oneof(
  fc.record({
    kind: fc.constant("hard-drive" as const),
    partition: fc.record({
      number: unsigned32,
      startBlock: unsigned64,
      blocks: unsigned64,
      signature: fc.oneof(
        fc.record({ format: fc.constant("gpt" as const), guid: fc.uuid() }),
        fc.record({ format: fc.constant("mbr" as const), number: unsigned32 }),
      ),
    }),
  }),
  fc.record({ kind: fc.constant("file" as const), path: text }),
  fc.record({
    kind: fc.constant("other" as const),
    type: fc.integer({ min: 1, max: 3 }),
    subType: fc.integer({ min: 0, max: 255 }),
    data: bytes(40),
  }),
);

const option: fc.Arbitrary<LoadOption> = fc.record({
  active: fc.boolean(),
  hidden: fc.boolean(),
  otherAttributes: unsigned32.map((each) => (each & ~0x09) >>> 0),
  label: text,
  path: fc.array(node, { maxLength: 5 }),
  optionalData: bytes(60),
});

test("every device path is read back as it was written", () => {
  fc.assert(
    fc.property(fc.array(node, { maxLength: 6 }), (path) => {
      expect(decodeDevicePath(encodeDevicePath(path))).toEqual(path);
    }),
  );
});

test("every load option is read back as it was written", () => {
  fc.assert(
    fc.property(option, (each) => {
      expect(decodeLoadOption(encodeLoadOption(each))).toEqual(each);
    }),
  );
});

test("any bytes are refused or give the same bytes again", () => {
  const damaged = fc.tuple(option, fc.nat(200), fc.integer({ min: 0, max: 255 })).map(([each, at, value]) => {
    const encoded = encodeLoadOption(each);
    if (at < encoded.length) encoded[at] = value;
    return encoded;
  });
  fc.assert(
    fc.property(fc.oneof(bytes(200), damaged), (each) => {
      const decoded = decodeLoadOption(each);
      if (decoded) expect(encodeLoadOption(decoded)).toEqual(each);
    }),
  );
});
