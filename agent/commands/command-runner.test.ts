import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { DiskNotFoundError } from "#shared/errors.ts";
import { jsonLog } from "#shared/log.ts";
import type { Command } from "#shared/protocol/commands.ts";
import type { AgentEvent } from "#shared/protocol/events.ts";
import { CommandJournal } from "./command-journal.ts";
import { CommandRunner, type CommandRunnerOptions } from "./command-runner.ts";
import type { Executors } from "./executor.ts";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

function world(
  executors: Executors,
  path = join(mkdtempSync(join(tmpdir(), "causeway-runner-")), "journal.sqlite"),
  now = new Date(0),
  onDone?: CommandRunnerOptions["onDone"],
) {
  const events: AgentEvent[] = [];
  const link = { down: false };
  const journal = new CommandJournal(path, () => now.getTime());
  closing.push(() => journal.close());
  const runner = new CommandRunner({
    executors,
    journal,
    publish: async (event) => {
      if (link.down) throw new Error("link down");
      events.push(event);
    },
    ...(onDone ? { onDone } : {}),
    log: jsonLog({ write: () => {}, now: () => 0 }),
    now: () => new Date(0),
    progressIntervalMs: 5,
    heartbeatIntervalMs: 0,
  });
  const results = () =>
    events.filter((event) => event.type === "command-succeeded" || event.type === "command-failed");
  return { runner, events, results, link, path, journal };
}

const release = (commandId: string): Command => ({
  type: "command",
  commandId,
  kind: "release",
  input: { ownerId: "cnv_1" },
  requestedBy: "ada",
  issuedAt: "2030-01-01T00:00:00.000Z",
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test("a command that arrives twice runs once and is answered twice", async () => {
  let runs = 0;
  const { runner, results } = world({
    release: async () => {
      runs++;
      return {};
    },
  });
  runner.receive(release("a"));
  runner.receive(release("a"));
  await until(() => results().length === 1);
  runner.receive(release("a"));
  await until(() => results().length === 2);
  expect(runs).toBe(1);
  expect(results()[1]).toEqual(results()[0]);
});

test("the work that follows a command is done before its result is published", async () => {
  const told: string[] = [];
  const { runner, results } = world(
    {
      release: async ({ ownerId }, { machineChanged }) => {
        if (ownerId === "cnv_2") machineChanged();
        return {};
      },
    },
    undefined,
    undefined,
    async ({ kind }, { machineChanged }) => {
      told.push(`${kind}, ${results().length} results${machineChanged ? ", machine changed" : ""}`);
    },
  );
  runner.receive(release("a"));
  runner.receive({ ...release("b"), input: { ownerId: "cnv_2" } });
  await until(() => results().length === 2);
  expect(told).toEqual(["release, 0 results", "release, 1 results, machine changed"]);
});

test("a result that could not be sent is answered from the journal after a restart", async () => {
  const first = world({ release: async () => ({}) });
  first.link.down = true;
  let finished = false;
  first.runner.receive(release("a"));
  await first.runner.stop().then(() => {
    finished = true;
  });
  expect(finished).toBe(true);
  // Stopped before it ran: nothing recorded. Run it now, with the link still down.
  first.runner.receive(release("a"));
  const reader = new CommandJournal(first.path, () => 0);
  closing.push(() => reader.close());
  await until(() => reader.find("a") !== undefined);

  const second = world({ release: async () => expect.unreachable("must not run again") }, first.path);
  second.runner.receive(release("a"));
  await until(() => second.results().length === 1);
  expect(second.results()[0]?.type).toBe("command-succeeded");
});

test("an acknowledged result still answers a late duplicate, and is deleted after a month", async () => {
  const first = world({ release: async () => ({}) });
  first.runner.receive(release("a"));
  await until(() => first.results().length === 1);
  first.runner.receive({ type: "acknowledge", commandId: "a" });

  const refusing = { release: async () => expect.unreachable("must not run again") };
  const soon = world(refusing, first.path, new Date("1970-01-29"));
  soon.runner.receive(release("a"));
  await until(() => soon.results().length === 1);
  expect(soon.results()[0]?.type).toBe("command-succeeded");

  let ranAgain = false;
  const later = world(
    {
      release: async () => {
        ranAgain = true;
        return {};
      },
    },
    first.path,
    new Date("1970-02-02"),
  );
  later.journal.forgetOld();
  later.runner.receive(release("a"));
  await until(() => later.results().length === 1);
  expect(ranAgain).toBe(true);
});

test("a command that arrives after its cancellation, once or twice, does not run", async () => {
  const refusing = { release: async () => expect.unreachable("must not run") };
  const { runner, results, path } = world(refusing);
  runner.receive({ type: "cancel", commandId: "cnv_1.release.1" });
  runner.receive(release("cnv_1.release.1"));
  await until(() => results().length === 1);
  expect(results()[0]).toMatchObject({
    type: "command-failed",
    failure: { name: "ConversionCancelledError", message: "conversion cnv_1 was cancelled" },
  });

  const restarted = world(refusing, path);
  restarted.runner.receive(release("cnv_1.release.1"));
  await until(() => restarted.results().length === 1);
});

test("another command under the id of one that runs, or has run, is refused without an answer", async () => {
  const order: string[] = [];
  let finish = () => {};
  const { runner, results, path } = world({
    release: async ({ ownerId }) => {
      order.push(ownerId);
      await new Promise<void>((resolve) => (finish = resolve));
      return {};
    },
  });
  const other = { ...release("a"), input: { ownerId: "cnv_2" } };
  runner.receive(release("a"));
  await until(() => order.length === 1);
  runner.receive(other);
  finish();
  await until(() => results().length === 1);
  runner.receive({ type: "acknowledge", commandId: "a" });
  runner.receive(other);
  runner.receive({ ...release("a"), requestedBy: "eve" });
  const restarted = world({ release: async () => expect.unreachable("must not run") }, path);
  restarted.runner.receive(other);
  restarted.runner.receive(release("a"));
  await until(() => restarted.results().length === 1);
  expect(order).toEqual(["cnv_1"]);
  expect(results()).toHaveLength(1);
});

test("a command that arrives out of time is reported to the control plane, and still runs if it then arrives in time", async () => {
  const { runner, results } = world({ release: async () => ({}) });
  runner.refuse(release("a"), "it expired at noon");
  await until(() => results().length === 1);
  expect(results()[0]).toMatchObject({
    type: "command-failed",
    failure: {
      name: "CommandOutOfTimeError",
      message: expect.stringContaining("it expired at noon"),
      retryable: true,
    },
  });
  runner.receive(release("a"));
  await until(() => results().length === 2);
  expect(results()[1]?.type).toBe("command-succeeded");
});

test("an old copy of a command that runs, or has run, ends nothing and is not answered", async () => {
  let finish = () => {};
  const { runner, results, events } = world({
    release: () => new Promise((resolve) => (finish = () => resolve({}))),
  });
  runner.receive(release("a"));
  await until(() => events.length > 0);
  runner.refuse(release("a"), "it expired at noon");
  await new Promise((resolve) => setImmediate(resolve));
  finish();
  await until(() => results().length === 1);
  runner.refuse(release("a"), "it expired at noon");
  await new Promise((resolve) => setImmediate(resolve));
  expect(results().map(({ type }) => type)).toEqual(["command-succeeded"]);
});

test("a cancellation that comes after the end changes nothing", async () => {
  const { runner, results } = world({ release: async () => ({}) });
  runner.receive(release("a"));
  await until(() => results().length === 1);
  runner.receive({ type: "cancel", commandId: "a" });
  runner.receive(release("a"));
  await until(() => results().length === 2);
  expect(results()[1]?.type).toBe("command-succeeded");
});

test("a cancelled command is stopped and leaves no result", async () => {
  let stopped = false;
  const { runner, results } = world({
    release: (_, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          stopped = true;
          reject(signal.reason);
        });
      }),
  });
  runner.receive(release("a"));
  await new Promise((resolve) => setImmediate(resolve));
  runner.receive({ type: "cancel", commandId: "a" });
  await until(() => stopped);
  await runner.stop();
  expect(results()).toEqual([]);
});

test("commands run one after the other, and waiting ones still send heartbeats", async () => {
  const order: string[] = [];
  let finishFirst = () => {};
  const { runner, results, events } = world({
    release: async (_, { commandId }) => {
      order.push(`${commandId} begins`);
      if (commandId === "a") await new Promise<void>((resolve) => (finishFirst = resolve));
      order.push(`${commandId} ends`);
      return {};
    },
  });
  runner.receive(release("a"));
  runner.receive(release("b"));
  await until(
    () =>
      events.filter((event) => event.type === "command-progressed" && event.commandId === "b").length >= 2,
  );
  finishFirst();
  await until(() => results().length === 2);
  expect(order).toEqual(["a begins", "a ends", "b begins", "b ends"]);
});

test("a typed error becomes a typed failure with its hint", async () => {
  const { runner, results } = world({
    release: async () => {
      throw new DiskNotFoundError("sdz");
    },
  });
  runner.receive(release("a"));
  await until(() => results().length === 1);
  expect(results()[0]).toMatchObject({
    type: "command-failed",
    failure: { name: "DiskNotFoundError", retryable: false, hint: expect.stringContaining("--disk") },
  });
});

test("an unknown kind or an invalid input is refused, not guessed", async () => {
  const { runner, results } = world({ release: async () => ({}) });
  runner.receive({ ...release("a"), kind: "format-disk" });
  runner.receive({ ...release("b"), input: {} });
  await until(() => results().length === 2);
  for (const result of results()) expect(result).toMatchObject({ failure: { name: "UnknownCommandError" } });
});

test.each(["constructor", "__proto__", "toString", "hasOwnProperty", "no-such-kind"])(
  "a command of the kind %s is refused like any unknown one",
  async (kind) => {
    const { runner, results } = world({ release: async () => ({}) });
    runner.receive({ ...release("a"), kind });
    await until(() => results().length === 1);
    expect(results()).toMatchObject([{ failure: { name: "UnknownCommandError" } }]);
  },
);

test.each(["", "..", "../x", "/", "cnv_1/../..", "cnv_1\0", "CNV_1"])(
  "a release of %j never reaches the executor",
  async (ownerId) => {
    const released: string[] = [];
    const { runner, results } = world({
      release: async (input) => {
        released.push(input.ownerId);
        return {};
      },
    });
    runner.receive({ ...release("a"), input: { ownerId } });
    await until(() => results().length === 1);
    expect(results()).toMatchObject([{ failure: { name: "UnknownCommandError" } }]);
    expect(released).toEqual([]);
  },
);

test("a result that is retracted is reported as a failure, also to a control plane that asks again", async () => {
  let retract: ((error: unknown) => Promise<void>) | undefined;
  const executors: Executors = {
    release: async (_, context) => {
      ({ retract } = context);
      return {};
    },
  };
  const { runner, results, path } = world(executors);
  runner.receive(release("c1"));
  await until(() => results().length === 1);
  runner.receive({ type: "acknowledge", commandId: "c1" });
  await retract?.(new DiskNotFoundError("sda"));
  expect(results().map(({ type }) => type)).toEqual(["command-succeeded", "command-failed"]);
  const later = world(executors, path);
  later.runner.receive(release("c1"));
  await until(() => later.results().length === 1);
  expect(later.results()).toMatchObject([{ type: "command-failed", failure: { name: "DiskNotFoundError" } }]);
});

test("a result that an earlier agent reported can be retracted by the next one", async () => {
  const { runner, results, path } = world({ release: async () => ({}) });
  runner.receive(release("c1"));
  await until(() => results().length === 1);
  const later = world({}, path);
  await later.runner.retract("c1", new DiskNotFoundError("sda"));
  later.runner.receive(release("c1"));
  await until(() => later.results().length === 2);
  const failed = { type: "command-failed", failure: { name: "DiskNotFoundError" } };
  expect(later.results()).toMatchObject([failed, failed]);
});
