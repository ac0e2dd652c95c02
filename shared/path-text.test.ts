import fc from "fast-check";
import { expect, test } from "vitest";
import { pathBytes, pathText } from "./path-text.ts";

test("every path can be typed as it is shown, whatever its bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      expect(pathBytes(pathText(bytes))).toEqual(Buffer.from(bytes));
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(pathBytes(pathText(Buffer.from(text))).toString()).toBe(Buffer.from(text).toString());
    }),
  );
});

test("nothing that a terminal obeys is shown", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      expect(pathText(bytes)).not.toMatch(/[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/u);
    }),
  );
});

test.each([
  [Buffer.from("plain.txt"), "plain.txt"],
  [Buffer.from("größe 日本"), "größe 日本"],
  [Buffer.from("a\nb\u001b[2J"), "a\\x0ab\\x1b[2J"],
  [Buffer.from([0x66, 0xfc, 0x72]), "f\\xfcr"],
  [Buffer.from("back\\slash"), "back\\\\slash"],
  [Buffer.from("\u202etxt.exe"), "\\xe2\\x80\\xaetxt.exe"],
])("%j is shown as %s", (bytes, text) => {
  expect(pathText(bytes)).toBe(text);
});

test("a backslash that begins nothing stands for itself", () => {
  expect(pathBytes("a\\b\\x4").toString()).toBe("a\\b\\x4");
});
