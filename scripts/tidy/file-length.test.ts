import { expect, test } from "vitest";
import { fileLengthFindings, MAX_FILE_LINES } from "./file-length.ts";

test("a file may have 400 lines, and not one more", () => {
  const text = "a\n".repeat(MAX_FILE_LINES);
  expect(fileLengthFindings({ path: "x.ts", text })).toEqual([]);
  expect(fileLengthFindings({ path: "x.ts", text: `${text}b` })).toMatchObject([{ path: "x.ts" }]);
});
