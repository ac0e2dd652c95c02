/** A guest that was taken over by the disk it reads, and answers anything. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { GuestAnswerInvalidError } from "./errors.ts";
import { channelFrame, FRAME, FrameError, FrameParser, messageFrame } from "./frames.ts";
import { EntryType } from "./messages.ts";
import { ReplyChecker } from "./reply.ts";
import { tarHeader } from "./tar.ts";

const name = fc.oneof(
  fc
    .constantFrom("", ".", "..", "../..", "a/b", "/", "\0", "a\0b", "etc", "\u001b[2J", "x".repeat(1025))
    .map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
);
const count = fc.oneof(fc.nat(200), fc.constantFrom(0, -1, 1.5, 2 ** 40, 2 ** 53, Number.MAX_VALUE));
const entry = fc.record(
  {
    say: fc.constant("entry"),
    name: name.map((bytes) => bytes.toString("base64")),
    type: fc.oneof(fc.constantFrom(...EntryType.options), fc.string()),
    mode: fc.oneof(fc.nat(0o7777), count),
    uid: fc.oneof(fc.nat(70_000), count),
    gid: fc.nat(70_000),
    sizeBytes: count,
    modifiedSeconds: fc.oneof(fc.integer(), count),
    target: name.map((bytes) => bytes.toString("base64")),
    major: count,
    shared: count,
  },
  { requiredKeys: ["say", "name", "type", "mode", "uid", "gid", "sizeBytes", "modifiedSeconds"] },
);
const plain = { say: "entry", mode: 0o644, uid: 0, gid: 0, modifiedSeconds: 1 };
const good = fc.tuple(name, fc.constantFrom("file", "folder"), fc.nat(50)).map(([bytes, type, size]) => ({
  ...plain,
  type,
  name: bytes.toString("base64"),
  sizeBytes: type === "file" ? size : 0,
}));
const message = fc.oneof(
  { weight: 4, arbitrary: good },
  { weight: 2, arbitrary: entry },
  {
    weight: 2,
    arbitrary: fc.constantFrom({ say: "leave" }, { say: "end" }, { say: "ready" }, { say: "x" }, 7, null),
  },
  { weight: 1, arbitrary: fc.constant({ say: "failed", why: "unreadable", detail: "x" }) },
);
const frame = fc.oneof(
  { weight: 4, arbitrary: message.map((content) => messageFrame(content)) },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 60 }).map((bytes) => channelFrame(FRAME.data, bytes)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)) },
);
const top = { ...plain, type: "folder", name: Buffer.from("top").toString("base64"), sizeBytes: 0 };
const file = { ...top, type: "file" };
const answer = fc
  .tuple(fc.boolean(), fc.array(frame, { maxLength: 30 }))
  .map(([starts, frames]) => Buffer.concat([...(starts ? [messageFrame(top)] : []), ...frames]));

/** Everything that is accepted of an answer, and how it ends. */
function accepted(bytes: Buffer, question: "list" | "content", pieces: readonly number[] = []) {
  const parser = new FrameParser();
  const checker = new ReplyChecker(question);
  const parts: NonNullable<ReturnType<ReplyChecker["take"]>>[] = [];
  let at = 0;
  try {
    for (const piece of [...pieces, bytes.length]) {
      for (const each of parser.add(bytes.subarray(at, at + piece))) {
        const part = checker.take(each);
        if (part) parts.push(part);
      }
      at += piece;
    }
  } catch (error) {
    if (!(error instanceof FrameError)) expect(error).toBeInstanceOf(GuestAnswerInvalidError);
    return { parts, end: (error as Error).message };
  }
  return { parts, end: "open" };
}

const question = fc.constantFrom("list" as const, "content" as const);

test("an answer means the same in whatever pieces it arrives, and is only ever refused with a typed error", () => {
  const pieces = fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 30 });
  fc.assert(
    fc.property(answer, question, pieces, (bytes, ask, sizes) => {
      expect(accepted(bytes, ask, sizes)).toEqual(accepted(bytes, ask));
    }),
    { numRuns: 400 },
  );
});

test("no accepted path leads out of what was asked for, and no tar entry is absolute or climbs", () => {
  fc.assert(
    fc.property(answer, question, (bytes, ask) => {
      for (const part of accepted(bytes, ask).parts) {
        if (part.kind !== "entry") continue;
        for (const [depth, each] of part.path.entries()) {
          expect([".", ".."]).not.toContain(each.toString("latin1"));
          expect(each.includes("/") || each.includes(0)).toBe(false);
          if (depth > 0) expect(each.length).toBeGreaterThan(0);
        }
        const header = tarHeader(part.entry, part.path);
        expect(header.length % 512).toBe(0);
        if (header.length > 0) expect(header.subarray(-512, -511).toString()).not.toBe("/");
      }
    }),
    { numRuns: 400 },
  );
});

test("of a file exactly as many bytes are accepted as its entry says", () => {
  const file = (sizeBytes: number) => messageFrame({ ...top, type: "file", sizeBytes });
  const end = messageFrame({ say: "end" });
  const content = (bytes: number) => channelFrame(FRAME.data, Buffer.alloc(bytes));
  expect(accepted(Buffer.concat([file(5), content(3), content(2), end]), "content").end).toBe("open");
  expect(accepted(Buffer.concat([file(5), content(3), end]), "content").end).toContain("shorter");
  expect(accepted(Buffer.concat([file(5), content(6)]), "content").end).toContain("longer");
  expect(accepted(Buffer.concat([file(5), content(1)]), "list").end).toContain("longer");
});

test.each([
  ["two trees", [top, { say: "leave" }, top], "more than what was asked for"],
  ["an end within a folder", [top, { say: "end" }], "within a folder"],
  ["no entry at all", [{ say: "end" }], "within a folder"],
  ["a folder left twice", [top, { say: "leave" }, { say: "leave" }], "did not enter"],
  ["something after the end", [top, { say: "leave" }, { say: "end" }, { say: "end" }], "after its end"],
  ["a link without a target", [{ ...top, type: "link" }], "leads nowhere"],
  ["a folder with bytes", [{ ...top, sizeBytes: 5 }], "something else than a file"],
  ["another name of a file that did not come", [top, { ...file, shared: 1 }], "first one did not come"],
  [
    "another name of a file with bytes",
    [top, { ...file, shared: 0 }, { ...file, shared: 0, sizeBytes: 1 }],
    "has bytes",
  ],
  ["another name of a folder", [{ ...top, shared: 0 }], "that cannot"],
  ["an unknown field", [{ ...top, extra: 1 }], "unknown form"],
])("%s is no answer", (_, messages, why) => {
  expect(accepted(Buffer.concat(messages.map(messageFrame)), "content").end).toContain(why);
});
