/** Checks of what is stored of a source: of its recovery points in the repository. */
import * as z from "zod";
import { Failure, Timestamp } from "./common.ts";
import { AgentId, CheckId, PointId } from "./ids.ts";

/** A message has room for the verdicts on as many. */
export const MAX_CHECKED_POINTS = 512;
/** More damage than that is not listed one by one. */
const MAX_PROBLEMS = 20;
const MAX_PROBLEM_TEXT = 400;

/** `gone`: it was pruned and collected, so there is nothing to check. */
const PointVerdict = z.enum(["sound", "damaged", "gone"]);

/** What an agent found. */
export const RepositoryChecked = z.object({
  points: z.array(z.object({ pointId: PointId, verdict: PointVerdict })).max(MAX_CHECKED_POINTS),
  /** What is wrong, in words, each object once. Not only what concerns the points that were asked for. */
  problems: z.array(z.string().max(MAX_PROBLEM_TEXT)).max(MAX_PROBLEMS),
  bytesRead: z.int().nonnegative(),
  seconds: z.number().nonnegative(),
});
export type RepositoryChecked = z.infer<typeof RepositoryChecked>;

/** As many problems as a result may have, each as long as it may be. */
export function boundedProblems(problems: readonly string[]): string[] {
  const clipped = problems.map((text) =>
    text.length <= MAX_PROBLEM_TEXT ? text : `${text.slice(0, MAX_PROBLEM_TEXT - 1)}…`,
  );
  if (clipped.length <= MAX_PROBLEMS) return clipped;
  const listed = clipped.slice(0, MAX_PROBLEMS - 1);
  return [...listed, `and ${clipped.length - listed.length} more`];
}

/** What the newest check of a recovery point found. */
export const PointCheck = z.object({
  checkId: CheckId,
  verdict: PointVerdict.exclude(["gone"]),
  /** `sample`: random parts of it were read. `whole`: all of it was. */
  method: z.enum(["sample", "whole"]),
  /** When the check ended that found the damage, or when the one began that found none. */
  at: Timestamp,
});
export type PointCheck = z.infer<typeof PointCheck>;

export const NewCheck = z.strictObject({
  /** Read everything that is stored of the source, not only a sample of some points. */
  whole: z.boolean().default(false),
});

export const CheckState = z.enum(["running", "completed", "failed"]);
export type CheckState = z.infer<typeof CheckState>;

export const Check = z.object({
  id: CheckId,
  sourceId: AgentId,
  /** The target host that checks. */
  targetId: AgentId,
  whole: z.boolean(),
  /** `completed`: it came to its end, whatever it found. */
  state: CheckState,
  result: RepositoryChecked.optional(),
  failure: Failure.optional(),
  requestedBy: z.string(),
  createdAt: Timestamp,
  endedAt: Timestamp.optional(),
});
export type Check = z.infer<typeof Check>;
