import type * as z from "zod";
import { TrackerFailedError } from "#shared/errors.ts";
import { type DiskStatus, HelperLine } from "./disk-status.ts";

type LineOf<T extends HelperLine["type"]> = Extract<z.infer<typeof HelperLine>, { type: T }>;

/** Everything that the helper printed in one run. */
export interface HelperOutput {
  disks: DiskStatus[];
  /** Runs of granules: the first, and how many. */
  runs: [first: number, count: number][];
  freeze: LineOf<"freeze"> | undefined;
  thawed: Pick<LineOf<"thawed">, "path" | "error">[];
  /** With the index of their disk. */
  frames: { disk: number; offset: number; bytes: Buffer }[];
  error: LineOf<"error"> | undefined;
  /** Whether it printed its last line, and everything before agrees with it. */
  isWhole: boolean;
}

const NEWLINE = 0x0a;

/** Parses lines of JSON, and the bytes after a line of type `data`. Throws `TrackerFailedError`. */
export function parseHelperOutput(output: Buffer): HelperOutput {
  const parsed: HelperOutput = {
    disks: [],
    runs: [],
    freeze: undefined,
    thawed: [],
    frames: [],
    error: undefined,
    isWhole: false,
  };
  const lengths: { disk: number; offset: number; length: number }[] = [];
  for (let at = 0; at < output.length; ) {
    const end = output.indexOf(NEWLINE, at);
    if (end < 0) return { ...parsed, isWhole: false };
    const line = parseLine(output.toString("latin1", at, end));
    at = end + 1;
    if (line.type === "data") {
      parsed.frames = cutFrames(output.subarray(at), lengths);
      const total = lengths.reduce((sum, { length }) => sum + length, 0);
      parsed.isWhole = total === line.bytes && output.length - at === total;
      return parsed;
    }
    if (line.type === "frames")
      for (const [disk, offset, length] of line.frames) lengths.push({ disk, offset, length });
    else add(parsed, line);
  }
  return parsed;
}

function add(parsed: HelperOutput, line: Exclude<HelperLine, { type: "data" } | { type: "frames" }>): void {
  switch (line.type) {
    case "disk": {
      const { type: _, ...status } = line;
      parsed.disks.push(status);
      break;
    }
    case "runs":
      for (const run of line.runs) parsed.runs.push(run);
      break;
    case "end":
      parsed.isWhole = line.granules === parsed.runs.reduce((sum, [, count]) => sum + count, 0);
      break;
    case "freeze":
      parsed.freeze = line;
      break;
    case "thawed":
      parsed.thawed.push({ path: line.path, error: line.error });
      break;
    case "error":
      parsed.error = line;
      break;
  }
}

function parseLine(text: string): HelperLine {
  try {
    return HelperLine.parse(JSON.parse(text));
  } catch {
    throw new TrackerFailedError("output", `it printed something unknown: ${text.slice(0, 200)}`);
  }
}

function cutFrames(
  data: Buffer,
  lengths: readonly { disk: number; offset: number; length: number }[],
): HelperOutput["frames"] {
  let at = 0;
  return lengths.map(({ disk, offset, length }) => {
    const bytes = data.subarray(at, at + length);
    at += length;
    return { disk, offset, bytes };
  });
}
