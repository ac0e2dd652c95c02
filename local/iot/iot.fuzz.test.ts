import fc from "fast-check";
import { expect, test } from "vitest";
import { AwsError } from "../core/aws-error.ts";
import { FrameError, FrameSplitter } from "./mqtt-frames.ts";
import { evaluate, type Json } from "./sql/evaluator.ts";
import { parseSql } from "./sql/parser.ts";
import { filterProblem, matchesFilter } from "./topic.ts";

const FRAGMENTS = [
  "SELECT",
  "*",
  "FROM",
  "WHERE",
  "AS",
  "AND",
  "OR",
  "NOT",
  "(",
  ")",
  ",",
  ".",
  "=",
  "<>",
  "<=",
  "x",
  "y.z",
  "'a/b'",
  "'#'",
  '"q"',
  "1",
  "-2.5",
  "topic()",
  "topic(1)",
  "timestamp()",
  "NULL",
  "TRUE",
  "'",
  '"',
  " ",
  "$",
  "\0",
];

test("any text as SQL is either a statement or a parse error", () => {
  const text = fc.array(fc.constantFrom(...FRAGMENTS), { maxLength: 30 }).map((parts) => parts.join(" "));
  const sql = fc.oneof(
    text,
    text.map((rest) => `SELECT ${rest}`),
    fc.string(),
  );
  const context = { topic: "a/b", timestamp: 1 };
  fc.assert(
    fc.property(sql, fc.jsonValue(), (sqlText, payload) => {
      try {
        evaluate(parseSql(sqlText), payload as Json, context);
      } catch (error) {
        if (error instanceof AwsError) expect(error.code).toBe("SqlParseException");
        else expect(error).toMatchObject({ name: "NotAnObjectError" });
      }
    }),
    { numRuns: 500 },
  );
});

test("a condition that is written out and parsed again gives the same result", () => {
  const number = fc.integer({ min: -3, max: 3 });
  const comparison = fc.record({ field: fc.constantFrom("a", "b"), value: number });
  fc.assert(
    fc.property(number, number, comparison, comparison, fc.boolean(), (a, b, left, right, and) => {
      const payload: Record<string, number> = { a, b };
      const sql = `SELECT * FROM 't' WHERE ${left.field} < ${left.value} ${and ? "AND" : "OR"} NOT ${right.field} = ${right.value}`;
      const first = (payload[left.field] ?? 0) < left.value;
      const second = payload[right.field] !== right.value;
      const selected = evaluate(parseSql(sql), payload, { topic: "t", timestamp: 0 });
      expect(selected !== undefined).toBe(and ? first && second : first || second);
    }),
  );
});

test("a filter made from a topic by wildcards matches that topic", () => {
  const level = fc.stringMatching(/^[a-z0-9]{0,3}$/);
  fc.assert(
    fc.property(fc.array(level, { minLength: 1, maxLength: 6 }), fc.nat(), fc.nat(), (levels, plus, hash) => {
      const topic = levels.join("/");
      fc.pre(topic !== "");
      const replaced = levels.with(plus % levels.length, "+").join("/");
      const cut = [...levels.slice(0, hash % (levels.length + 1)), "#"].join("/");
      expect([filterProblem(replaced), filterProblem(cut)]).toEqual([undefined, undefined]);
      expect([matchesFilter(replaced, topic), matchesFilter(cut, topic)]).toEqual([true, true]);
      expect(matchesFilter(`${topic}/more`, topic)).toBe(false);
    }),
  );
});

test("a stream gives back the same packets, wherever it is cut", () => {
  const packet = fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 300 })).map(([first, body]) => {
    const length = body.length < 128 ? [body.length] : [(body.length % 128) | 0x80, body.length >> 7];
    return Buffer.from([first, ...length, ...body]);
  });
  fc.assert(
    fc.property(fc.array(packet), fc.infiniteStream(fc.integer({ min: 1, max: 200 })), (packets, sizes) => {
      const splitter = new FrameSplitter(1000);
      const stream = Buffer.concat(packets);
      const found: Buffer[] = [];
      for (let at = 0; at < stream.length; ) {
        const size = sizes.next().value ?? 1;
        found.push(...splitter.push(stream.subarray(at, at + size)).map((frame) => frame.bytes));
        at += size;
      }
      expect(found).toEqual(packets);
    }),
  );
});

test("a packet whose header announces too many bytes is refused before the bytes arrive", () => {
  expect(() => new FrameSplitter(1000).push(Buffer.from([0x30, 0xff, 0x7f]))).toThrow(FrameError);
  expect(() => new FrameSplitter(1000).push(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff]))).toThrow(FrameError);
  expect(new FrameSplitter(1000).push(Buffer.from([0x30, 0xff]))).toEqual([]);
});
