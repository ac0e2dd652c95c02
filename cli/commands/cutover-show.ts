import { isUnderWay } from "#shared/domain/cutover/cutover.ts";
import type { Cutover } from "#shared/protocol/cutover.ts";
import { duration } from "#shared/units.ts";
import { API_HELP, API_OPTIONS, apiOf } from "../api.ts";
import type { CliCommand } from "../command.ts";
import { CutoverNotCompletedError } from "../errors.ts";
import { print } from "../terminal.ts";
import { waitForEnd } from "../wait-for-end.ts";
import { transferLine } from "./conversion-progress.ts";
import { describeCutover } from "./cutover-text.ts";

/** A cutover can wait for days, and each look makes a forecast. */
const LOOK_WHILE_IT_WAITS_MS = 15_000;
const LOOK_MS = 1_000;

export const cutoverShow: CliCommand = {
  name: "cutover show",
  summary: "Shows a cutover: its version, state, window, forecast, deadline and runs",
  usage: "cutover show CUTOVER [--wait]",
  help: [
    ["--wait", "follow it until it has ended; the exit code is 0 only if it was completed"],
    ...API_HELP,
  ],
  examples: ["causeway cutover show cut_01jd…", "causeway cutover show cut_01jd… --wait --json"],
  options: { ...API_OPTIONS, wait: { type: "boolean" } },
  positionals: ["CUTOVER"],
  async run(call) {
    const api = apiOf(call);
    const get = () => api.getCutover({ parameters: { id: call.arguments.CUTOVER ?? "" } });
    if (!call.values.wait) {
      const cutover = await get();
      print(call.terminal, call.json, cutover, () => describeCutover(cutover));
      return;
    }
    const ended = await waitForEnd(get, (cutover) => progressOf(cutover, Date.now()), call.terminal, {
      news: newsTeller(),
      pauseMs: ({ deadlineAt }) => (deadlineAt === null ? LOOK_WHILE_IT_WAITS_MS : LOOK_MS),
    });
    print(call.terminal, call.json, ended, () => describeCutover(ended));
    requireCompleted(ended);
  },
};

const COPIES = { capture: "reading the source", apply: "writing the standby" };

/** What changes all the time. A log gets the first part, which stays the same, once. */
function progressOf(cutover: Cutover, now: number): string {
  const { id, state, deadlineAt, runs, copying } = cutover;
  const parts: string[] = [id, state];
  const run = runs.at(-1);
  if (run?.phase === state) parts.push(run.id);
  if (copying) parts.push(COPIES[copying.part], ...transferLine(copying.progress));
  if (deadlineAt === null) parts.push(whatItWaitsFor(cutover));
  else if (isUnderWay(cutover)) parts.push(timeLeft(now, deadlineAt));
  return parts.join("  ");
}

function whatItWaitsFor({ mode, needsApproval, approved, window, heldBack }: Cutover): string {
  if (window === null) return "none of its windows is left";
  if (needsApproval && !approved) return "another person has to approve it";
  const opening = `its window from ${window.opensAt} to ${window.closesAt}`;
  const needsGo = mode === "hold" || (heldBack !== undefined && heldBack.at >= window.opensAt);
  return needsGo ? `a person's go in ${opening}` : opening;
}

/** Returns what is new since its last call: each state, with its time, and each time it was held back. */
function newsTeller(): (cutover: Cutover) => string[] {
  let told = 0;
  let heldAt: string | undefined;
  return ({ states, heldBack, deadlineAt }) => {
    const news = states.slice(told).map(({ name, at }) => {
      const isBound = deadlineAt !== null && isUnderWay({ state: name });
      return [at, name, ...(isBound ? [timeLeft(Date.parse(at), deadlineAt)] : [])].join("  ");
    });
    told = states.length;
    if (heldBack && heldBack.at !== heldAt) news.push(`${heldBack.at}  held back: ${heldBack.why}`);
    heldAt = heldBack?.at;
    return news;
  };
}

function timeLeft(now: number, deadlineAt: string): string {
  return `${duration(Math.max(0, (Date.parse(deadlineAt) - now) / 1000))} to its deadline`;
}

function requireCompleted({ id, state, failure }: Cutover): void {
  if (state === "completed") return;
  throw new CutoverNotCompletedError(
    failure?.message ?? `cutover ${id} is ${state}`,
    failure?.hint ?? "Create another one when ready.",
  );
}
