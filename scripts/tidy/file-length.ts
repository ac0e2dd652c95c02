import type { Finding, Source } from "./source.ts";

export const MAX_FILE_LINES = 400;

export function fileLengthFindings({ path, text }: Pick<Source, "path" | "text">): Finding[] {
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  if (lines <= MAX_FILE_LINES) return [];
  return [{ path, message: `has ${lines} lines; split it by its ideas (at most ${MAX_FILE_LINES})` }];
}
