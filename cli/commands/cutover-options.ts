import type { EditCutover } from "#shared/protocol/cutover.ts";
import { CutoverWindow } from "#shared/protocol/cutover-window.ts";
import { type CliCall, type CliCommand, secondsOption } from "../command.ts";
import { UsageError } from "../errors.ts";
import { timeZoneOption } from "../time-option.ts";

/** When a cutover may happen, and its limits: the options that creating and editing one share. */
export const CUTOVER_HELP: [string, string][] = [
  [
    "--window HOURS",
    "DAY,FROM-TO or FIRST..LAST,FROM-TO for hours of each day, such as 2030-01-05,22:00-02:00 (repeatable)",
  ],
  ["--time-zone ZONE", "of the windows' hours, such as Europe/Vienna (default: UTC)"],
  ["--automatic", "begin when a window opens, if the source was recovered on the target host before"],
  ["--hold", "begin once a person says go while a window is open (default)"],
  [
    "--margin DURATION",
    "how long before the window closes it is rolled back unless it has committed (default 2m)",
  ],
  ["--quiesce-timeout DURATION", "how long the source may take to stop its services (default 5m)"],
  ["--answer-timeout DURATION", "how long the machine may take to answer (default 15m)"],
];

export const CUTOVER_OPTIONS = {
  window: { type: "string", multiple: true },
  "time-zone": { type: "string" },
  automatic: { type: "boolean" },
  hold: { type: "boolean" },
  margin: { type: "string" },
  "quiesce-timeout": { type: "string" },
  "answer-timeout": { type: "string" },
} as const satisfies CliCommand["options"];

/** What the options of `CUTOVER_OPTIONS` ask for; throws `UsageError` about `command`. */
export function cutoverFields(call: CliCall, command: string): EditCutover {
  const texts = call.values.window as string[] | undefined;
  const timeZone = timeZoneOption(call, command);
  if (timeZone !== undefined && !texts)
    throw new UsageError("--time-zone is about the hours of --window: name those again", command);
  if (call.values.automatic === true && call.values.hold === true)
    throw new UsageError("it begins either --automatic or by a person's go (--hold)", command);
  const fields = {
    windows: texts?.map((text) => windowOf(text, timeZone ?? "UTC", command)),
    mode: call.values.automatic === true ? "automatic" : call.values.hold === true ? "hold" : undefined,
    marginSeconds: secondsOption(call, "margin", command),
    quiesceTimeoutSeconds: secondsOption(call, "quiesce-timeout", command),
    answerTimeoutSeconds: secondsOption(call, "answer-timeout", command),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** `2030-01-05..2030-01-07,22:00-02:00`; throws `UsageError`. */
function windowOf(text: string, timeZone: string, command: string): CutoverWindow {
  const [, firstDay, lastDay, from, to] = /^([\d-]+)(?:\.\.([\d-]+))?,([\d:]+)-([\d:]+)$/.exec(text) ?? [];
  const read = CutoverWindow.safeParse({ firstDay, ...(lastDay ? { lastDay } : {}), from, to, timeZone });
  if (read.success) return read.data;
  const why =
    from === undefined ? "it takes DAY,FROM-TO" : read.error.issues.map(({ message }) => message).join("; ");
  throw new UsageError(`--window ${text}: ${why}`, command);
}
