/** What can befall the machines around a cutover, once in the middle of each step of its proof and outage. */
import { expect, test } from "vitest";
import { Quiesce } from "#shared/protocol/quiesce.ts";
import type { Conditions, Event } from "../testing/orders/conditions.ts";
import { walkOrder } from "../testing/orders/walk.ts";

interface Step {
  command: string;
  /** Which command of this name it is; 1 if absent. */
  nth?: number;
}

const SYNC: Step[] = [{ command: "take-recovery-point" }, { command: "apply-to-standby" }];
const CHECK: Step[] = [
  ...["clone-standby", "define-machine", "adapt-machine", "bring-up-machine", "bring-up-machine isolated"],
].map((command) => ({ command }));
const COMMIT: Step[] = ["set-fence lasting", "connect-machine", "bring-up-machine connected"].map(
  (command) => ({ command }),
);
/** Before the window. */
const PROOF: Step[] = [{ command: "hash-files" }, { command: "compare-files" }];
const again = (steps: Step[]) => steps.map(({ command }) => ({ command, nth: 2 }));

/** The commands from the first sync in the window to the machine's answer on its network. */
const STEPS: Record<Quiesce, Step[]> = {
  hot: [...SYNC, { command: "set-fence up" }, ...again(SYNC), ...CHECK, ...COMMIT],
  cold: [
    ...SYNC,
    ...["stage-boot-image pre-sync", "set-fence up", "arm-boot", "reboot boot-environment"].map(
      (command) => ({ command }),
    ),
    { command: "report-boot-state" },
    ...again(SYNC),
    ...CHECK,
    ...COMMIT.toSpliced(1, 0, { command: "switch-off" }),
  ],
};

/** Less than the lease of 60 s, and more than it and its margin. */
const [BRIEF, LONG] = [30, 200];
const BEFALLS: [string, Event][] = [
  ["the control plane is killed", { die: 0 }],
  ...(["source", "target"] as const).flatMap((machine): [string, Event][] =>
    [BRIEF, LONG].flatMap((seconds): [string, Event][] => [
      [`the ${machine}'s agent is killed, and is back after ${seconds} s`, { kill: machine, seconds }],
      [`the ${machine}'s network is gone for ${seconds} s`, { cut: machine, seconds }],
    ]),
  ),
  [`the target host restarts, which takes ${LONG} s`, { restart: "target", seconds: LONG }],
];

const STEP_SECONDS = 20;

/** Every step takes a second, but this one takes longer, and it happens in its middle. */
function befalling({ command, nth = 1 }: Step, what: Event, quiesce: Quiesce): Conditions {
  const quick = Array.from({ length: nth - 1 }, () => ({ seconds: 1 }));
  return {
    ...{ hasStandby: true, quiesce, mode: "automatic", needsApproval: false, windowEnd: "02:00" },
    ...{ adapt: true, proves: "equal", checksAnswer: true, switchSourceOff: false },
    ...{ fates: [], calls: [], skewsMs: [0], drift: 0, calmMinute: 125 },
    works: { [command]: [...quick, { seconds: STEP_SECONDS }] },
    happenings: [{ when: { on: command, nth, seconds: STEP_SECONDS / 2 }, what }],
  };
}

async function walk(step: Step, conditions: Conditions): ReturnType<typeof walkOrder> {
  const name = `${step.command} ${step.nth ?? 1}`;
  const walked = await walkOrder(conditions).catch((error: Error) => {
    throw new Error(`${name}: ${error.message}`, { cause: error });
  });
  expect(walked.happened, name).toBe(conditions.happenings.length);
  return walked;
}

for (const quiesce of Quiesce.options)
  for (const [name, what] of BEFALLS)
    test(`in a ${quiesce} cutover, if ${name} in the middle of a step, never two run, and one does within the bound`, async () => {
      for (const step of STEPS[quiesce]) {
        const { state } = await walk(step, befalling(step, what, quiesce));
        expect(["completed", "rolled-back"], step.command).toContain(state);
      }
    });

test.each(BEFALLS)(
  "if %s while files are compared, the copy is proved all the same, and the cutover is completed",
  async (_, what) => {
    for (const step of PROOF)
      expect(await walk(step, befalling(step, what, "hot")), step.command).toMatchObject({
        ...{ state: "completed", proof: "equal" },
      });
  },
);

test.each([true, false])(
  "a step of the proof that fails, whether or not it can be repeated (isVain: %s), makes it unknown, and the cutover is completed",
  async (isVain) => {
    for (const step of PROOF) {
      const works = { [step.command]: [{ seconds: 1, fails: "SomeAgentError", isVain }] };
      const conditions = { ...befalling(step, "wake", "hot"), works, happenings: [] };
      expect(await walk(step, conditions), step.command).toMatchObject({
        state: "completed",
        proof: "unknown",
      });
    }
  },
);
