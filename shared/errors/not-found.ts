/** What is named does not exist. */
import { CausewayError } from "./causeway-error.ts";

/** By the prefix of an id: what it belongs to, and what lists such ids, if anything does. */
const KINDS: Readonly<Record<string, { owner: string; list?: string }>> = {
  agt: { owner: "a source or target host", list: "`causeway sources` or `causeway targets`" },
  alm: { owner: "an alarm", list: "`causeway alarms`" },
  chk: { owner: "a check" },
  cnv: { owner: "a conversion", list: "`causeway conversions`" },
  cut: { owner: "a cutover", list: "`causeway cutovers`" },
  drl: { owner: "a drill", list: "`causeway drills`" },
  plan: { owner: "a plan", list: "`causeway plans`" },
  rcv: { owner: "a recovery", list: "`causeway recoveries`" },
  rp: { owner: "a recovery point", list: "`causeway points SOURCE`" },
  run: { owner: "a run of a plan" },
};

/** By what is looked for: the prefix of its ids, if they have one, and what lists it if not all such ids. */
const SOUGHT: Readonly<Record<string, { prefix?: string; list?: string }>> = {
  agent: { prefix: "agt" },
  alarm: { prefix: "alm" },
  "boot image": { list: "`causeway boot-images list`" },
  conversion: { prefix: "cnv" },
  cutover: { prefix: "cut" },
  drill: { prefix: "drl" },
  "machine with the code": { list: "`causeway enrolment-requests`" },
  plan: { prefix: "plan" },
  recovery: { prefix: "rcv" },
  "recovery point": { prefix: "rp" },
  run: { prefix: "run" },
  source: { prefix: "agt", list: "`causeway sources`" },
  "target host": { prefix: "agt", list: "`causeway targets`" },
};

export class NotFoundError extends CausewayError {
  override readonly name = "NotFoundError";
  readonly retryable = false;
  readonly hint: string;

  /** `hint`: by default what lists the ones that there are, and what the id belongs to if it is another's. */
  constructor(what: string, id: string, hint = hintFor(what, id)) {
    super(`there is no ${what} ${id}`);
    this.hint = hint;
  }
}

function hintFor(what: string, id: string): string {
  const { prefix, list = KINDS[prefix ?? ""]?.list } = SOUGHT[what] ?? {};
  const [, given = ""] = /^([a-z]+)_/.exec(id) ?? [];
  const owner = prefix === undefined || given === prefix ? undefined : KINDS[given]?.owner;
  return [
    ...(owner === undefined ? [] : [`An id that begins with ${given}_ is that of ${owner}.`]),
    list === undefined ? "Check the name." : `${list} shows what there is; type an id whole.`,
  ].join(" ");
}
