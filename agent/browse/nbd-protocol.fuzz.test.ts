/** A client of the block device server that sends anything. */
import { Duplex } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { COMMAND, NbdParser, NbdProtocolError, OPTION, requestedExport } from "./nbd-protocol.ts";
import { serveDisk } from "./nbd-server.ts";

const u16 = (value: number) => Buffer.from([value >>> 8, value & 0xff]);
const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};
const u64 = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
};

const length = fc.oneof(
  fc.nat(5000),
  fc.constantFrom(0, 512, 65_536, 65_537, 2 ** 25, 2 ** 25 + 1, 2 ** 32 - 1),
);
const place = fc.oneof(fc.bigInt({ min: 0n, max: 10_000n }), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }));
const data = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
const named = fc
  .record({ name: fc.constantFrom("disk0", "disk1", ""), wrong: fc.boolean(), wanted: fc.nat(3) })
  .map(({ name, wrong, wanted }) =>
    Buffer.concat([
      u32(name.length + (wrong ? 9 : 0)),
      Buffer.from(name),
      u16(wanted),
      Buffer.alloc(wanted * 2),
    ]),
  );
const option = fc
  .record({
    number: fc.oneof(fc.constantFrom(...Object.values(OPTION), 5, 8, 10), fc.nat(2 ** 32 - 1)),
    data: fc.oneof(data, named, fc.constant(Buffer.from("disk0"))),
    claimed: fc.option(length, { freq: 12 }),
  })
  .map(({ number, data: content, claimed }) =>
    Buffer.concat([Buffer.from("IHAVEOPT"), u32(number), u32(claimed ?? content.length), content]),
  );
const request = fc
  .record({
    command: fc.oneof(fc.constantFrom(...Object.values(COMMAND), 4, 6, 7), fc.nat(0xffff)),
    cookie: place,
    offset: place,
    bytes: length,
  })
  .map(({ command, cookie, offset, bytes }) =>
    Buffer.concat([u32(0x25609513), u16(0), u16(command), u64(cookie), u64(offset), u32(bytes)]),
  );
const flags = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(u32(1), u32(3)) },
  { weight: 1, arbitrary: data },
);
const session = fc
  .tuple(
    flags,
    fc.array(fc.oneof(option, data), { maxLength: 5 }),
    fc.array(fc.oneof(request, data), { maxLength: 8 }),
  )
  .map(([first, options, requests]) => Buffer.concat([first, ...options, ...requests]));

/** The messages in a session, and whether it breaks the protocol, when it arrives in these pieces. */
function understood(bytes: Buffer, pieces: readonly number[]): unknown[] {
  const parser = new NbdParser();
  const messages: unknown[] = [];
  let at = 0;
  try {
    for (const piece of [...pieces, bytes.length]) {
      parser.add(bytes.subarray(at, at + piece));
      at += piece;
      for (let message = parser.next(); message; message = parser.next()) {
        messages.push(message);
        if (message.kind === "option" && message.option === OPTION.go) parser.startRequests();
      }
    }
  } catch (error) {
    expect(error).toBeInstanceOf(NbdProtocolError);
    messages.push("broken");
  }
  return messages;
}

test("a session means the same in whatever pieces it arrives, and only ever breaks the protocol", () => {
  const pieces = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 20 });
  fc.assert(
    fc.property(session, pieces, (bytes, sizes) => {
      expect(understood(bytes, sizes)).toEqual(understood(bytes, []));
    }),
    { numRuns: 500 },
  );
});

test("the name of an export is found only in an option whose lengths agree", () => {
  fc.assert(
    fc.property(data, (bytes) => {
      const name = requestedExport(bytes);
      if (name !== undefined) expect(bytes.readUInt32BE(0) + 6).toBeLessThanOrEqual(bytes.length);
    }),
  );
});

const KNOWN_BYTES = 10_000;

test("the server never reads outside of the disk and always ends, whatever a client sends", async () => {
  await fc.assert(
    fc.asyncProperty(session, async (bytes) => {
      const reader = {
        sizeBytes: KNOWN_BYTES,
        read: async (offset: number, count: number) => {
          expect(offset >= 0 && count >= 0 && offset + count <= KNOWN_BYTES).toBe(true);
          return Buffer.alloc(count);
        },
      };
      const failures: unknown[] = [];
      const pending = [bytes];
      const stream = new Duplex({
        read() {
          this.push(pending.shift() ?? null);
        },
        write: (_chunk, _encoding, done) => done(),
      });
      await serveDisk(stream, { name: "disk0", reader, onError: (error) => failures.push(error) });
      expect(failures).toEqual([]);
      expect(stream.destroyed).toBe(true);
    }),
    { numRuns: 300 },
  );
});
