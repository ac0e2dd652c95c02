import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeGrubEnvironment,
  encodeGrubEnvironment,
  grubVariable,
  withGrubVariable,
  withoutGrubVariable,
} from "./grub-environment.ts";
import { grubEnvironmentBlock } from "./testing/grub-installation.ts";

const name = fc.stringMatching(/^[a-z_][a-z0-9_]{0,12}$/);
const value = fc.string({ maxLength: 20, unit: "grapheme" }).filter((text) => !text.includes("\0"));
const variables = fc.dictionary(name, value, { maxKeys: 6 });

test("any variables are read back as they were set, and the block keeps its length", () => {
  fc.assert(
    fc.property(variables, (given) => {
      const bytes = grubEnvironmentBlock(given);
      expect(bytes.length).toBe(1024);
      const block = decodeGrubEnvironment(bytes);
      if (!block) throw new Error("not decoded");
      for (const [each, text] of Object.entries(given)) expect(grubVariable(block, each)).toBe(text);
      expect(encodeGrubEnvironment(block)).toEqual(bytes);
    }),
  );
});

test("setting and unsetting a variable that was not there gives the same bytes", () => {
  fc.assert(
    fc.property(variables, value, (given, text) => {
      const block = decodeGrubEnvironment(grubEnvironmentBlock(given));
      if (!block) throw new Error("not decoded");
      const changed = decodeGrubEnvironment(
        encodeGrubEnvironment(withGrubVariable(block, "next_entry_", text)),
      );
      if (!changed) throw new Error("not decoded");
      expect(encodeGrubEnvironment(withoutGrubVariable(changed, "next_entry_"))).toEqual(
        grubEnvironmentBlock(given),
      );
    }),
  );
});

test("any bytes are refused or kept to the last one", () => {
  const start = Buffer.from("# GRUB Environment Block\n");
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 999 }), (tail) => {
      const bytes = Buffer.concat([start, tail, Buffer.alloc(999 - tail.length, "#")]);
      const block = decodeGrubEnvironment(bytes);
      if (block) expect(encodeGrubEnvironment(block)).toEqual(bytes);
    }),
  );
});
