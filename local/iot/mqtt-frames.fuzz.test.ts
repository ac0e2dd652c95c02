/** Any bytes that a client can write to the broker's port. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { countSubscriptions, type Frame, FrameError, FrameSplitter, publishTopic } from "./mqtt-frames.ts";

const MAX_BYTES = 1000;
/** First byte, announced length, and a body that need not be as long. */
const packet = fc
  .tuple(
    fc.constantFrom(0x30, 0x82, 0x10, 0xe0),
    fc.uint8Array({ minLength: 1, maxLength: 4 }),
    fc.uint8Array({ maxLength: 200 }),
  )
  .map(([first, length, body]) => Buffer.from([first, ...length, ...body]));
const chunk = fc.oneof(
  packet,
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
);

test("any bytes are split into packets within the limit, or the stream is refused", () => {
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 20 }), (chunks) => {
      const splitter = new FrameSplitter(MAX_BYTES);
      let taken = 0;
      let given = 0;
      for (const bytes of chunks) {
        taken += bytes.length;
        let frames: Frame[];
        try {
          frames = splitter.push(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
          return;
        }
        for (const frame of frames) {
          given += frame.bytes.length;
          expect(frame.bytes.length).toBeLessThanOrEqual(MAX_BYTES);
          expect(publishTopic(frame)?.length ?? 0).toBeLessThanOrEqual(frame.bytes.length);
          expect(countSubscriptions(frame)).toBeLessThanOrEqual(frame.bytes.length);
        }
        expect(taken - given).toBeLessThanOrEqual(MAX_BYTES);
      }
    }),
    { numRuns: 2000 },
  );
});
