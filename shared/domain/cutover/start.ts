/** When a cutover begins: by its windows, its mode, and what people said. */
import { CutoverEditedError, InvalidInputError, WrongStateError } from "../../errors.ts";
import type { Cutover, EditCutover } from "../../protocol/cutover.ts";
import {
  type CutoverRecord,
  enteredState,
  isBefore,
  isUnderWay,
  requireBefore,
  requireGoing,
} from "./cutover.ts";
import { isRehearsed } from "./forecast.ts";
import { nextOpening, openingAt, openingsFrom, type WindowOpening } from "./window.ts";

/** How long the outage would be, and whether that fits the window. */
export type DatedForecast = NonNullable<Cutover["forecast"]>;

/** What there is to do about a cutover that has not begun. Times are milliseconds since 1970. */
export type StartDecision =
  | { kind: "begin"; deadlineAt: number; wantedBy: "person" | "window" }
  | { kind: "wait"; until?: number | undefined };

export function startDecision(cutover: CutoverRecord, now: number): StartDecision {
  const opening = openingAt(cutover.windows, now);
  const deadlineAt = opening && deadlineIn(opening, cutover);
  const wantedBy = opening && whatWants(cutover, opening);
  if (wantedBy && deadlineAt !== undefined && now < deadlineAt)
    return { kind: "begin", deadlineAt, wantedBy };
  // The end of the last one is looked at, too: then none is left.
  return { kind: "wait", until: nextOpening(cutover.windows, now)?.opensAt ?? opening?.closesAt };
}

/** When a cutover that begins in this opening is rolled back unless it has committed. */
export function deadlineIn(
  { closesAt }: WindowOpening,
  { marginSeconds }: Pick<CutoverRecord, "marginSeconds">,
): number {
  return closesAt - marginSeconds * 1000;
}

/** A go, a no-go and a hold are about the hours that are open, not about later ones. */
function whatWants(
  { mode, needsApproval, approved, go, heldBack }: CutoverRecord,
  opening: { opensAt: number },
): "person" | "window" | undefined {
  if (needsApproval && !approved) return undefined;
  const isNow = (at: string | undefined) => at !== undefined && Date.parse(at) >= opening.opensAt;
  if (isNow(go?.at)) return "person";
  return mode === "automatic" && !isNow(heldBack?.at) ? "window" : undefined;
}

/** The cutover whose workflow waits with this token. Throws what `requireGoing` throws. */
export function waitingCutover(cutover: CutoverRecord, taskToken: string, now: string): CutoverRecord {
  return { ...enteredState(cutover, "waiting", now), taskToken };
}

/**
 * The cutover, begun if it still is to, the forecast fits, and it rests on measurements or a person said go;
 * otherwise it waits, and says why if the forecast is the reason. Repeating it changes nothing. Throws what
 * `requireGoing` throws.
 */
export function begunCutover(cutover: CutoverRecord, forecast: DatedForecast, now: number): CutoverRecord {
  const at = new Date(now).toISOString();
  requireGoing(cutover, at);
  if (!isBefore(cutover)) return cutover;
  const { taskToken: _, go: said, ...rest } = cutover;
  const decision = startDecision(cutover, now);
  if (decision.kind === "wait") return { ...rest, ...(said ? { go: said } : {}), forecast };
  // A go that the forecast refuses is used up.
  const isTrusted = decision.wantedBy === "person" || isRehearsed(forecast);
  if (!forecast.fits || !isTrusted) return { ...rest, forecast, heldBack: { at, why: adviceOf(forecast) } };
  const { heldBack: _held, ...free } = cutover;
  const deadlineAt = new Date(decision.deadlineAt).toISOString();
  return { ...enteredState({ ...free, forecast }, "pre-sync", at), deadlineAt };
}

/** Throws `WrongStateError` if no window is open, the forecast does not fit, or it has begun. */
export function goneCutover(
  cutover: CutoverRecord,
  { by, forecast }: { by: string; forecast: DatedForecast },
  now: number,
): CutoverRecord {
  if (isUnderWay(cutover)) return cutover;
  requireBefore(cutover);
  const { id, windows, needsApproval, approved, edition, marginSeconds } = cutover;
  const opening = openingAt(windows, now);
  const next = nextOpening(windows, now);
  if (!opening)
    throw new WrongStateError(
      `no window of cutover ${id} is open`,
      `${next ? `The next one opens at ${iso(next.opensAt)}. ` : ""}\`causeway cutover edit ${id} --window …\` changes them.`,
    );
  if (now >= deadlineIn(opening, cutover))
    throw new WrongStateError(
      `the window of cutover ${id} closes in less than its margin of ${marginSeconds} s, at ${iso(opening.closesAt)}`,
      `\`causeway cutover edit ${id} --window …\` makes it longer.`,
    );
  if (needsApproval && !approved)
    throw new WrongStateError(
      `cutover ${id} is not approved`,
      `Another person approves it: \`causeway cutover approve ${id} --version ${edition}\`.`,
    );
  if (!forecast.fits)
    throw new WrongStateError(`the forecast of cutover ${id} does not fit its window`, adviceOf(forecast));
  return { ...cutover, forecast, go: { by, at: iso(now) } };
}

/** Throws `WrongStateError` once it has begun. */
export function heldCutover(cutover: CutoverRecord): CutoverRecord {
  requireBefore(cutover);
  const { go: _, ...rest } = cutover;
  return { ...rest, mode: "hold" };
}

/**
 * `version`: the one that the person has read. Throws `CutoverEditedError` if the cutover has another one,
 * and `WrongStateError` for a person who asked for it or changed it, and once it has begun.
 */
export function approvedCutover(
  cutover: CutoverRecord,
  { by, version }: { by: string; version: number },
  now: string,
): CutoverRecord {
  if (version !== cutover.edition) throw new CutoverEditedError(cutover.id, version, cutover.edition);
  if (cutover.approved) return cutover;
  requireBefore(cutover);
  if (cutover.changedBy.includes(by))
    throw new WrongStateError(
      `${by} asked for cutover ${cutover.id} or changed it`,
      "Another person has to approve it.",
    );
  return { ...cutover, approved: { by, at: now } };
}

/**
 * The cutover's next version: it has to be approved again. Throws `WrongStateError` once it has begun,
 * and `InvalidInputError` if no window is left.
 */
export function editedCutover(
  cutover: CutoverRecord,
  edit: EditCutover,
  given: { by: string; now: number },
): CutoverRecord {
  requireBefore(cutover);
  const changes = Object.entries(edit).filter(([, value]) => value !== undefined);
  const { approved: _, go: _go, heldBack: _held, ...rest } = cutover;
  const changedBy = [...new Set([...cutover.changedBy, given.by])];
  const edition = cutover.edition + 1;
  const edited: CutoverRecord = { ...rest, ...Object.fromEntries(changes), edition, changedBy };
  requireTime(edited, given.now);
  return edited;
}

/** Throws `InvalidInputError` if no window is left that is longer than the margin. */
export function requireTime(
  { windows, marginSeconds }: Pick<CutoverRecord, "windows" | "marginSeconds">,
  now: number,
): void {
  const isLongEnough = (opening: WindowOpening) =>
    deadlineIn(opening, { marginSeconds }) > Math.max(now, opening.opensAt);
  if (openingsFrom(windows, now).some(isLongEnough)) return;
  throw new InvalidInputError([{ path: "windows", message: whyNoTime(windows, marginSeconds, now) }]);
}

function whyNoTime(windows: CutoverRecord["windows"], marginSeconds: number, now: number): string {
  const last = openingsFrom(windows, Number.NEGATIVE_INFINITY).at(-1);
  if (!last) return "never open, because clocks are set forward over all of these hours";
  if (last.closesAt <= now)
    return `closed: the last one ended at ${iso(last.closesAt)}, and it is ${iso(now)} now`;
  return `none of them is open from now on for longer than the margin of ${marginSeconds} s; the last one closes at ${iso(last.closesAt)}`;
}

export function adviceOf({ advice }: DatedForecast): string {
  return advice ?? "Choose a longer window.";
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
