/** What happens to a cutover in one order of events, as random as it gets. */
import fc from "fast-check";
import { Quiesce } from "#shared/protocol/quiesce.ts";
import type { Work } from "./model-agent.ts";

/** How a message fares: late by seconds, if it is a number. */
export type Fate = "arrives" | "lost" | "twice" | number;

type Machine = "source" | "target";
type Word = "go" | "hold" | "approve" | "cancel" | "rollback" | "edit";

export type Event =
  | { says: Word }
  /** Its agent is killed, and starts again after this time. */
  | { kill: Machine; seconds: number }
  /** The target host restarts, and takes this time: its agent is killed, and its machines are off. */
  | { restart: "target"; seconds: number }
  /** The network between it and the control plane is gone for this time. */
  | { cut: Machine; seconds: number }
  /** The control plane is killed before it writes again after this number of writes; then it starts again. */
  | { die: number }
  /** Someone stops the workflow. */
  | "stop"
  /** The scheduler says once more that the cutover's timer has fired. */
  | "wake"
  /** A run of the protection plan is due. */
  | "tick";

export interface Happening {
  /** After midnight, or this long after the nth time that this function or command begins. */
  when: { minute: number } | { on: string; nth: number; seconds: number };
  what: Event;
}

export interface Conditions {
  /** Whether the plan has made its first recovery point, and the standby of it. */
  hasStandby: boolean;
  quiesce: Quiesce;
  mode: "automatic" | "hold";
  needsApproval: boolean;
  /** Whether its system is adapted: first on a clone, before the window. */
  adapt: boolean;
  /** Whether files of a clone are compared with the source's before the window; and what that finds. */
  proves: false | "equal" | "different" | "moved";
  /** Whether the machine also has to answer on its network: isolated first, and once more when connected. */
  checksAnswer: boolean;
  /** Whether its source shuts down after the commit, if it is quieted hot. */
  switchSourceOff: boolean;
  /** Of the first day; an edit moves it. */
  windowEnd: string;
  /** What the agents take for their commands, in order; they do all further ones in a second. */
  works: Record<string, Work[]>;
  /** Of messages between the agents and the control plane, and of renewals; all further ones arrive. */
  fates: Fate[];
  /** Of the scheduler's calls. */
  calls: Fate[];
  /** By how much the clock of each call of a function is ahead: the differences that the lease allows for. */
  skewsMs: number[];
  /** How much faster the clock of the target host is. */
  drift: number;
  happenings: Happening[];
  /** From then on everything works, and no one says anything. */
  calmMinute: number;
}

const COMMANDS = [
  ...["set-fence up", "set-fence down", "take-recovery-point", "apply-to-standby", "clone-standby"],
  ...["define-machine", "bring-up-machine", "connect-machine", "power-machine off", "remove-machine"],
  ...["set-fence lasting", "switch-off", "adapt-machine"],
  ...["bring-up-machine isolated", "bring-up-machine connected"],
];
/** Those before the window, of a cutover that adapts its system or proves its copy. */
const REHEARSAL = [
  ...["clone-standby", "define-machine", "adapt-machine", "release"].map((kind) => `${kind} rehearsal`),
  ...["hash-files", "compare-files"],
];
/** Those of a source that restarts, and its restarts themselves: one that fails leads into its own system. */
const RESTARTS = [
  ...["stage-boot-image pre-sync", "arm-boot", "reboot boot-environment", "report-boot-state"],
  ...["hash-files final", "compare-files final"],
  ...["reboot original", "attest-boot-state", "restart boot-environment", "restart original"],
];
/** Those of the outage, and of the way back. */
const OUTAGE = [
  ...["set-fence up", "clone-standby", "define-machine", "bring-up-machine", "connect-machine"],
  ...["bring-up-machine isolated", "bring-up-machine again", "bring-up-machine connected"],
  ...["power-machine off", "set-fence down"],
];
const FUNCTIONS = [
  ...["AwaitCutoverStart", "StartCutover", "BeginCutoverRun", "EndCutoverRun", "RollBackCutover"],
  ...[
    "MoveCutoverLease begin",
    "MoveCutoverLease hold",
    "MoveCutoverLease keep",
    "MoveCutoverLease give-back",
  ],
  ...["FinishCutover", "EndCutover", "RecordRecoveryPoint", "FinishRun", "AbandonRun", "RecordProof"],
];

/** A moment; some time, up to more than a lease; more than a window. */
const seconds = fc.oneof(
  { weight: 6, arbitrary: fc.nat(5) },
  { weight: 4, arbitrary: fc.integer({ min: 6, max: 200 }) },
  { weight: 1, arbitrary: fc.integer({ min: 600, max: 5000 }) },
);
const fate: fc.Arbitrary<Fate> = fc.oneof(
  { weight: 8, arbitrary: fc.constant("arrives" as const) },
  { weight: 1, arbitrary: fc.constant("lost" as const) },
  { weight: 1, arbitrary: fc.constant("twice" as const) },
  { weight: 1, arbitrary: fc.oneof(fc.integer({ min: 1, max: 90 }), fc.integer({ min: 100, max: 3000 })) },
);
const errors = fc.constantFrom("SomeAgentError", "HypervisorFailedError", "StandbyBusyError");
const workParts = {
  ...{ seconds, isVain: fc.boolean() },
  fails: fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, errors),
};
const work: fc.Arbitrary<Work> = fc.record(workParts);
const works = fc.dictionary(
  fc.constantFrom(...COMMANDS, ...RESTARTS, ...REHEARSAL),
  fc.array(work, { minLength: 1, maxLength: 3 }),
  {
    maxKeys: 5,
  },
);

const restart = fc.record({ restart: fc.constant("target" as const), seconds });
const machine = fc.constantFrom("source" as const, "target" as const);
const word = fc.constantFrom(...(["go", "hold", "approve", "cancel", "rollback", "edit"] as const));
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: word.map((says) => ({ says })) },
  { weight: 3, arbitrary: fc.record({ kill: machine, seconds }) },
  { weight: 1, arbitrary: restart },
  { weight: 3, arbitrary: fc.record({ cut: machine, seconds }) },
  { weight: 3, arbitrary: fc.nat(8).map((die) => ({ die })) },
  { weight: 3, arbitrary: fc.constantFrom("stop" as const, "wake" as const, "tick" as const) },
);
const happening: fc.Arbitrary<Happening> = fc.record({
  when: fc.record({ minute: fc.integer({ min: 31, max: 125 }) }),
  what: event,
});

/**
 * Several things happen while one command is carried out, or around one call of a function: one alone changes
 * little, most of the time.
 */
interface Cluster {
  on: string;
  nth: number;
  work: Work;
  /** When each happens: after seconds, or after a part of the work's time, in hundredths. */
  events: { after: { seconds: number } | { part: number }; what: Event }[];
}
const strike = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kill: machine, seconds }) },
  { weight: 2, arbitrary: fc.record({ cut: machine, seconds }) },
  { weight: 1, arbitrary: restart },
);
const cluster: fc.Arbitrary<Cluster> = fc.record({
  on: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...COMMANDS, ...FUNCTIONS, ...REHEARSAL) },
    { weight: 3, arbitrary: fc.constantFrom(...OUTAGE) },
    { weight: 3, arbitrary: fc.constantFrom(...RESTARTS) },
    { weight: 2, arbitrary: fc.constant("bring-up-machine") },
  ),
  nth: fc.constantFrom(1, 1, 1, 2, 3),
  work: fc.record({ ...workParts, seconds: fc.oneof(seconds, fc.integer({ min: 5, max: 150 })) }),
  events: fc.array(
    fc.record({
      after: fc.oneof(
        { weight: 2, arbitrary: fc.record({ part: fc.nat(120) }) },
        fc.record({ seconds: fc.oneof(fc.constant(0), fc.nat(5), fc.nat(90)) }),
      ),
      what: fc.oneof(event, strike, strike, fc.constant({ says: "rollback" as const })),
    }),
    { minLength: 1, maxLength: 5, size: "max" },
  ),
});

/** Hours are open from 01:00 on. */
const go: fc.Arbitrary<Happening> = fc.record({
  when: fc.record({ minute: fc.integer({ min: 60, max: 70 }) }),
  what: fc.constant({ says: "go" as const }),
});
const approval: fc.Arbitrary<Happening> = fc.record({
  when: fc.record({ minute: fc.integer({ min: 31, max: 70 }) }),
  what: fc.constant({ says: "approve" as const }),
});
const begins = fc.oneof(
  { weight: 6, arbitrary: fc.record({ mode: fc.constant("automatic" as const), said: fc.constant([]) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      mode: fc.constant("hold" as const),
      said: fc.array(go, { minLength: 1, maxLength: 2 }),
    }),
  },
);
const approvals = fc.oneof(
  { weight: 7, arbitrary: fc.record({ needsApproval: fc.constant(false), approved: fc.constant([]) }) },
  fc.record({
    needsApproval: fc.constant(true),
    approved: fc.array(approval, { minLength: 1, maxLength: 2 }),
  }),
);

/** The first hours, in which the cutover begins: long ones, and others that steps can outlast. */
const windowEnd = fc.constantFrom("02:00", "02:00", "01:09", "01:12");

export const conditions: fc.Arbitrary<Conditions> = fc
  .record({
    hasStandby: fc.constantFrom(true, true, true, false),
    quiesce: fc.constantFrom<Quiesce>(...Quiesce.options),
    ...{ windowEnd, begins, approvals, works },
    ...{ adapt: fc.boolean(), switchSourceOff: fc.constantFrom(false, false, true) },
    proves: fc.oneof(
      { weight: 4, arbitrary: fc.constant(false as const) },
      { weight: 4, arbitrary: fc.constant("equal" as const) },
      { weight: 1, arbitrary: fc.constantFrom("different" as const, "moved" as const) },
    ),
    checksAnswer: fc.constantFrom(false, false, true),
    fates: fc.array(fate, { maxLength: 80, size: "max" }),
    calls: fc.array(fate, { maxLength: 4 }),
    skewsMs: fc.array(fc.integer({ min: -2500, max: 2500 }), { minLength: 1, maxLength: 5 }),
    drift: fc.constantFrom(-0.01, 0, 0.01),
    clusters: fc.array(cluster, { minLength: 1, maxLength: 4, size: "max" }),
    others: fc.array(happening, { maxLength: 3 }),
    calmMinute: fc.integer({ min: 62, max: 130 }),
  })
  .map(({ begins: { mode, said }, approvals: { needsApproval, approved }, others, clusters, ...rest }) => ({
    ...{ mode, needsApproval, ...rest },
    works: clusters.reduce(withWork, rest.works),
    happenings: [...said, ...approved, ...others, ...clusters.flatMap(happeningsOf)],
  }));

function happeningsOf({ on, nth, work, events }: Cluster): Happening[] {
  return events.map(({ after, what }) => {
    const seconds = "part" in after ? Math.round((work.seconds * after.part) / 100) : after.seconds;
    return { when: { on, nth, seconds }, what };
  });
}

function withWork(works: Conditions["works"], { on, nth, work }: Cluster): Conditions["works"] {
  if (FUNCTIONS.includes(on)) return works;
  const before = works[on] ?? [];
  const quick = Array.from({ length: nth - 1 }, (_, index) => before[index] ?? { seconds: 1 });
  return { ...works, [on]: [...quick, work, ...before.slice(nth)] };
}
