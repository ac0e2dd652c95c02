import fc from "fast-check";
import { expect, test } from "vitest";
import { TrackerFailedError } from "#shared/errors.ts";
import { parseHelperOutput } from "./helper-output.ts";

const run = fc.tuple(fc.nat(1000), fc.integer({ min: 1, max: 1000 }));
const line = (value: object) => `${JSON.stringify(value)}\n`;
const passOf = (runs: (readonly [number, number])[]) =>
  Buffer.from(
    line({ type: "runs", runs }) +
      line({ type: "end", granules: runs.reduce((sum, [, count]) => sum + count, 0) }),
  );

test("a pass that is cut off anywhere is not whole", () => {
  fc.assert(
    fc.property(fc.array(run, { minLength: 1 }), fc.nat(), (runs, cut) => {
      const output = passOf(runs);
      expect(parseHelperOutput(output)).toMatchObject({ runs, isWhole: true });
      expect(parseHelperOutput(output.subarray(0, cut % output.length)).isWhole).toBe(false);
    }),
  );
});

test("frames get their bytes in order, and are not whole if a byte is missing or too many", () => {
  const frame = fc.record({ offset: fc.nat(), bytes: fc.uint8Array({ minLength: 1, maxLength: 50 }) });
  fc.assert(
    fc.property(fc.array(frame, { minLength: 1 }), (frames) => {
      const data = Buffer.concat(frames.map(({ bytes }) => bytes));
      const head =
        line({ type: "frames", frames: frames.map(({ offset, bytes }) => [0, offset, bytes.length]) }) +
        line({ type: "data", bytes: data.length });
      const output = Buffer.concat([Buffer.from(head), data]);
      const parsed = parseHelperOutput(output);
      expect(parsed.isWhole).toBe(true);
      expect(parsed.frames.map(({ offset, bytes }) => ({ offset, bytes: Uint8Array.from(bytes) }))).toEqual(
        frames.map(({ offset, bytes }) => ({ offset, bytes: Uint8Array.from(bytes) })),
      );
      expect(parseHelperOutput(output.subarray(0, -1)).isWhole).toBe(false);
      expect(parseHelperOutput(Buffer.concat([output, Buffer.from([10])])).isWhole).toBe(false);
    }),
  );
});

test("any other output is refused, or not whole", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.string().map((text) => Buffer.from(`${text}\n`)),
      ),
      (bytes) => {
        try {
          expect(parseHelperOutput(Buffer.from(bytes)).isWhole).toBe(false);
        } catch (error) {
          expect(error).toBeInstanceOf(TrackerFailedError);
        }
      },
    ),
  );
});
