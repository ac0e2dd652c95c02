import fc from "fast-check";
import { expect, test } from "vitest";
import { OutputTail } from "./output-tail.ts";
import { clipWords, lastLine, printable } from "./printable.ts";

test("a tail has the last bytes of a stream, however the stream is cut into chunks", () => {
  const chunks = fc.array(fc.string({ unit: fc.constantFrom(..."abcdefgh"), maxLength: 40 }));
  fc.assert(
    fc.property(chunks, (all) => {
      const tail = new OutputTail(16);
      for (const chunk of all) tail.add(Buffer.from(chunk));
      const whole = all.join("");
      expect(tail.text()).toBe(whole.length > 16 ? `…${whole.slice(-16)}` : whole);
    }),
  );
});

test("a tail that begins within a character leaves that character out", () => {
  const tail = new OutputTail(4);
  tail.add(Buffer.from("äöü"));
  tail.add(Buffer.from("x"));
  expect(tail.text()).toBe("…üx");
});

test("what a terminal or a reader could mistake is not printed", () => {
  expect(printable("10 %\r20 %\r\nred: \u001b[31mno\u001b[0m\ttab")).toBe("10 %\n20 %\nred: no\ttab");
  expect(printable("a\u0007b\u0000c\u202ed\u2028e\u001b]0;title")).toBe("a�b�c�d�e�]0;title");
  expect(printable("ERREUR : accès refusé 🙂 漢字")).toBe("ERREUR : accès refusé 🙂 漢字");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(printable(text)).not.toMatch(/[^\P{C}\n\t]|[\p{Zl}\p{Zp}]/u);
    }),
  );
});

test("the last line is the last one with anything in it", () => {
  expect(lastLine("first\n  ERROR 1205: no lock  \n\n \t\n")).toBe("ERROR 1205: no lock");
  expect(lastLine("\n \n")).toBeUndefined();
  expect(clipWords("x".repeat(201))).toBe(`${"x".repeat(199)}…`);
  expect(clipWords("x".repeat(200))).toHaveLength(200);
});
