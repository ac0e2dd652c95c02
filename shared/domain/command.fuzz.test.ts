import fc from "fast-check";
import { expect, test } from "vitest";
import { failureOf, WrongStateError } from "../errors.ts";
import {
  type CommandRecord,
  CommandState,
  cancelled,
  commandTransitions,
  failed,
  isOpen,
  plan,
  progressed,
  succeeded,
  type WantedCommand,
} from "./command.ts";

const NOW = "2030-01-01T00:00:00.000Z";
const wanted: WantedCommand = {
  ownerId: "cnv_1",
  agentId: "agt_1",
  kind: "capture-disk",
  label: "vda",
  round: 1,
  input: {},
  requestedBy: "ada",
  taskToken: "token-1",
};
const created = (): CommandRecord => plan(wanted, [], NOW).command;

const changes = {
  running: (command: CommandRecord) => progressed(command, { at: NOW }, NOW),
  succeeded: (command: CommandRecord) => succeeded(command, {}, NOW),
  failed: (command: CommandRecord) => failed(command, failureOf(new Error("x")), NOW),
  cancelled: (command: CommandRecord) => cancelled(command, NOW),
};
type Change = keyof typeof changes;
const names = Object.keys(changes) as Change[];

test("whatever happens in whatever order, a command goes only where its life cycle allows", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...names), { maxLength: 8 }), (story) => {
      let command = created();
      for (const name of story) {
        const allowed = commandTransitions[command.state].includes(name);
        if (allowed || (name === "running" && command.state === "running")) {
          command = changes[name](command);
          expect(command.state).toBe(name);
        } else {
          expect(() => changes[name](command)).toThrow(WrongStateError);
        }
      }
      expect(command.endedAt === undefined).toBe(isOpen(command));
    }),
  );
});

test("only reports in the order of the agent's clock move the progress", () => {
  const at = (second: number) => new Date(Date.parse(NOW) + second * 1000).toISOString();
  fc.assert(
    fc.property(fc.array(fc.nat(1000), { minLength: 1 }), (seconds) => {
      const report = (command: CommandRecord, second: number) => {
        const progress = { bytesDone: second, bytesTotal: 1000, rateBytesPerSecond: 1 };
        return progressed(command, { progress, at: at(second) }, NOW);
      };
      expect(seconds.reduce(report, created()).progress?.bytesDone).toBe(Math.max(...seconds));
    }),
  );
});

test("while a command is open, asking for it again gives the same command with the newest token", () => {
  const first = created();
  const again = plan({ ...wanted, taskToken: "token-2" }, [first], NOW);
  expect(again).toEqual({ action: "send", command: { ...first, taskToken: "token-2" } });
  expect(first.id).toBe("cnv_1.capture-disk.vda.1");
});

test("after a failure the next try has a new id, so that the agent does the work again", () => {
  const first = changes.failed(created());
  expect(plan(wanted, [first], NOW).command).toMatchObject({
    id: "cnv_1.capture-disk.vda.2",
    state: "pending",
  });
});

test("work that is done is not done again in the same round, but it is in the next one", () => {
  const first = changes.succeeded(created());
  expect(plan(wanted, [first], NOW)).toEqual({ action: "answer", command: first });
  const next = plan({ ...wanted, round: 2 }, [first], NOW);
  expect(next).toMatchObject({ action: "send", command: { attempt: 2, round: 2 } });
});

test("the commands of two disks do not affect each other", () => {
  const other = plan({ ...wanted, label: "vdb" }, [changes.succeeded(created())], NOW);
  expect(other.command.id).toBe("cnv_1.capture-disk.vdb.1");
});

test("every state has its transitions", () => {
  expect(Object.keys(commandTransitions).sort()).toEqual([...CommandState.options].sort());
});

test("a command that is done shows its whole progress, although the last report came before the end", () => {
  const progress = { bytesDone: 7, bytesTotal: 10, rateBytesPerSecond: 1, remainingSeconds: 3 };
  const running = progressed(created(), { progress, at: NOW }, NOW);
  expect(changes.succeeded(running).progress).toMatchObject({ bytesDone: 10, remainingSeconds: 0 });
});
