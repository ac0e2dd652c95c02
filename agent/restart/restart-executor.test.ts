import { expect, test, vi } from "vitest";
import { ArmedStateChangedError } from "#shared/errors.ts";
import { AfterAnswer } from "../commands/after-answer.ts";
import { executionContext } from "../commands/testing/execution-context.ts";
import type { ProgramOutput } from "../machine/machine.ts";
import { RecordedMachine } from "../machine/testing/recorded-machine.ts";
import { type RestartDeps, restartExecutor } from "./restart-executor.ts";
import { restartMachine } from "./restart-machine.ts";
import { allowOnlyToOriginal } from "./restart-rules.ts";

const context = executionContext({ commandId: "c1" });

function world(restartAfterMs: number, refusal: RestartDeps["refusal"] = async () => undefined) {
  const events: string[] = [];
  const afterAnswer = new AfterAnswer(restartAfterMs);
  const executor = restartExecutor({
    ...{ bootId: "boot-1", refusal, afterAnswer },
    restart: async () => {
      events.push("restarted");
    },
    onNotRestarted: async ({ conversionId }) => {
      events.push(`taken back for ${conversionId}`);
    },
  });
  const retract = async (error: unknown) => {
    events.push(`retracted: ${(error as Error).message}`);
  };
  return { executor, afterAnswer, events, context: { ...context, retract } };
}

const into = "boot-environment" as const;
const refused = (output: string): ProgramOutput => ({ status: 1, output: `${output}\n` });

test("the machine restarts once its answer is acknowledged, and not before", async () => {
  const { executor, afterAnswer, events, context } = world(60_000);
  await executor({ conversionId: "cnv_1", into: "boot-environment", bootId: "boot-1" }, context);
  afterAnswer.acknowledged("another");
  expect(events).toEqual([]);
  afterAnswer.acknowledged("c1");
  afterAnswer.acknowledged("c1");
  await vi.waitFor(() => expect(events).toEqual(["restarted"]));
});

test("a missing acknowledgement does not keep the machine from restarting", async () => {
  const { executor, events, context } = world(1);
  await executor({ conversionId: "cnv_1", into: "original" }, context);
  await vi.waitFor(() => expect(events).toEqual(["restarted"]));
});

test("a cancelled restart does not happen, neither by itself nor after a late acknowledgement", async () => {
  vi.useFakeTimers();
  try {
    const { executor, afterAnswer, events, context } = world(1000);
    await executor({ conversionId: "cnv_1", into: "boot-environment" }, context);
    afterAnswer.cancelled("another");
    afterAnswer.cancelled("c1");
    afterAnswer.acknowledged("c1");
    await vi.advanceTimersByTimeAsync(2000);
    expect(events).toEqual([]);
  } finally {
    vi.useRealTimers();
  }
});

test("a restart that is cancelled while the agent judges it does not happen", async () => {
  const abort = new AbortController();
  const { executor, afterAnswer, events, context } = world(1, async () => {
    afterAnswer.cancelled("c1");
    abort.abort();
    return undefined;
  });
  const wanted = { conversionId: "cnv_1", into: "boot-environment" } as const;
  await expect(executor(wanted, { ...context, signal: abort.signal })).rejects.toThrow();
  afterAnswer.acknowledged("c1");
  expect(events).toEqual([]);
});

test("a command from an earlier boot does nothing: the restart has already happened", async () => {
  const { executor, afterAnswer, events, context } = world(1);
  await executor({ conversionId: "cnv_1", into: "original", bootId: "boot-0" }, context);
  afterAnswer.acknowledged("c1");
  expect(events).toEqual([]);
});

test("a restart that is refused does not happen", async () => {
  const { executor, afterAnswer, events, context } = world(
    1,
    async ({ conversionId }) => `${conversionId} has not armed it`,
  );
  await expect(executor({ conversionId: "cnv_1", into: "boot-environment" }, context)).rejects.toMatchObject({
    name: "RestartRefusedError",
    message: expect.stringContaining("cnv_1 has not"),
  });
  afterAnswer.acknowledged("c1");
  expect(events).toEqual([]);
});

test("if the machine's state cannot be judged, it is not restarted, and the command fails with that error", async () => {
  const changed = new ArmedStateChangedError(["/boot/grub/grub.cfg"]);
  const { executor, afterAnswer, events, context } = world(1, () => Promise.reject(changed));
  await expect(executor({ conversionId: "cnv_1", into }, context)).rejects.toBe(changed);
  afterAnswer.acknowledged("c1");
  expect(events).toEqual([]);
});

test.each<[string, Record<string, ProgramOutput>, string]>([
  ["systemd refuses", { systemctl: refused("Access denied") }, "Access denied"],
  ["both refuse", { systemctl: refused("no bus"), reboot: refused("not permitted") }, "not permitted"],
  ["neither is installed", {}, "no program can restart it"],
])("if %s the machine is not restarted, and the error says why", async (_, answers, why) => {
  const commands: string[] = [];
  const run = async (command: string, ...args: string[]) => {
    commands.push([command, ...args].join(" "));
    return answers[command];
  };
  const machine = Object.assign(new RecordedMachine({}), { run });
  await expect(restartMachine(machine)).rejects.toThrow(`the machine does not restart: ${why}`);
  expect(commands).toEqual(["systemctl reboot", "reboot"]);
});

test("the boot environment restarts only into the original system, for any conversion", async () => {
  expect(await allowOnlyToOriginal({ conversionId: "cnv_2", into: "original" })).toBeUndefined();
  expect(await allowOnlyToOriginal({ conversionId: "cnv_2", into: "boot-environment" })).toBe(
    "it runs the boot environment",
  );
});

test.each<[string, (afterAnswer: AfterAnswer) => void]>([
  ["acknowledged", (afterAnswer) => afterAnswer.acknowledged("c1")],
  ["not acknowledged in time", () => {}],
])(
  "a refusal that arises after the answer, %s, keeps the machine from restarting: arming is taken back, then the answer",
  async (_, then) => {
    let why: string | undefined;
    const { executor, afterAnswer, events, context } = world(20, async () => why);
    await executor({ conversionId: "cnv_1", into }, context);
    why = "grub.cfg was changed";
    then(afterAnswer);
    await vi.waitFor(() => expect(events).toHaveLength(2));
    expect(events).toEqual([
      "taken back for cnv_1",
      "retracted: the machine is not restarted for conversion cnv_1: grub.cfg was changed",
    ]);
  },
);

test("the agent retracts its answer if the machine refuses to restart", async () => {
  const events: string[] = [];
  const afterAnswer = new AfterAnswer();
  const executor = restartExecutor({
    ...{ bootId: "boot-1", afterAnswer, refusal: async () => undefined },
    restart: () => Promise.reject(new Error("the machine does not restart: access denied")),
    onNotRestarted: async () => {},
  });
  const retract = async (error: unknown) => {
    events.push(String(error));
  };
  await executor({ conversionId: "cnv_1", into }, { ...context, retract });
  afterAnswer.acknowledged("c1");
  await vi.waitFor(() => expect(events).toEqual(["Error: the machine does not restart: access denied"]));
});
