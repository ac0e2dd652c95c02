import fc from "fast-check";
import { expect, test } from "vitest";
import { AwsError } from "#local/core/aws-error.ts";
import { machineArn } from "./names.ts";
import { Store } from "./store.ts";
import { callback, HandlerError, invoke, ROLE, World } from "./testing/states-world.ts";

/** A generated machine. Every state takes a number and returns one. */
type Step =
  | { kind: "pass" | "wait" | "ask" | "fail" | "child" }
  | { kind: "task"; failures: number }
  | { kind: "choice"; even: Step[]; odd: Step[] }
  | { kind: "map"; count: number; concurrency: number; steps: Step[] }
  | { kind: "parallel"; branches: Step[][] };

const { steps: machines } = fc.letrec<{ step: Step; steps: Step[] }>((tie) => ({
  steps: fc.array(tie("step"), { minLength: 1, maxLength: 4, depthIdentifier: "machine" }),
  step: fc.oneof(
    { depthIdentifier: "machine", maxDepth: 3 },
    fc.record({ kind: fc.constantFrom("pass", "wait", "ask", "fail", "child") }),
    fc.record({ kind: fc.constant("task" as const), failures: fc.nat(2) }),
    fc.record({ kind: fc.constant("choice" as const), even: tie("steps"), odd: tie("steps") }),
    fc.record({
      kind: fc.constant("map" as const),
      count: fc.nat(3),
      concurrency: fc.nat(2),
      steps: tie("steps"),
    }),
    fc.record({
      kind: fc.constant("parallel" as const),
      branches: fc.array(tie("steps"), { minLength: 1, maxLength: 2 }),
    }),
  ),
}));

test("a state machine that is interrupted after every n-th transition still does everything once", async () => {
  const interruptions = fc.record({ every: fc.integer({ min: 1, max: 5 }), written: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(machines, interruptions, async (steps, interruption) => {
      const definition = new Builder().processor(steps);
      const calm = await run(definition);
      const rough = await run(definition, interruption);
      expect(calm.result.status).toBe("SUCCEEDED");
      expect(rough).toEqual(calm);
    }),
    { numRuns: 10 },
  );
});

async function run(definition: object, interruption?: Interruption) {
  const world: World = new World({
    add: ({ n, failures, retry }) => {
      if (retry < failures) throw new HandlerError("Busy");
      return n + 1;
    },
    ask: ({ token, n }) => answerLater(world, token, n + 1),
  });
  let store: CrashingStore | undefined;
  const open = (): Store => {
    store = new CrashingStore(world.file, interruption);
    return store;
  };
  const { arn: child } = world.engine.putMachine({ name: "child", definition: CHILD, roleArn: ROLE });
  await world.reopen(open);
  const arn = await world.start(definition, 1);
  while (world.result(arn).status === "RUNNING") {
    if (store?.crashed) await world.reopen(open);
    else await world.clock.advance(250);
  }
  const history = world.history(arn);
  expect(history.map(({ id }) => id)).toEqual(history.map((_, index) => index + 1));
  const children = world.store.executions(child, undefined, Number.MAX_SAFE_INTEGER, 1000);
  return {
    result: world.result(arn),
    done: history.map(summary).sort(),
    children: children.map(({ status, output }) => `${status} ${output}`).sort(),
  };
}

/** Acts as an agent: repeats its answer until the engine accepts it or says that it already has. */
function answerLater(world: World, token: string, answer: number): void {
  world.clock.schedule(500, () => {
    world.engine.sendTaskSuccess(token, String(answer)).catch((error: unknown) => {
      if (!(error instanceof AwsError)) answerLater(world, token, answer);
      else if (error.code !== "TaskTimedOut") throw error;
    });
  });
}

/**
 * An event without its position in the history, its tokens and execution names. Siblings can interleave
 * differently, and answers can arrive at other times.
 */
function summary({ type, details }: { type: string; details: object }): string {
  const text = JSON.stringify(details);
  const named = type === "TaskScheduled" || type === "TaskSubmitted" || text.includes("startExecution");
  return named ? type : `${type} ${text}`;
}

/** The machine that a task starts. It asks an agent too. */
const CHILD = JSON.stringify({
  QueryLanguage: "JSONata",
  StartAt: "Ask",
  States: {
    Ask: {
      ...callback("ask"),
      Arguments: {
        FunctionName: "ask",
        Payload: { token: "{% $states.context.Task.Token %}", n: "{% $states.input %}" },
      },
      End: true,
    },
  },
});

interface Interruption {
  /** Transitions until the process ends. */
  every: number;
  /** Whether the last of them is written or is lost with the process. */
  written: boolean;
}

class CrashingStore extends Store {
  crashed = false;
  readonly #interruption: Interruption;
  #commits = 0;

  constructor(file: string, interruption: Interruption = { every: Infinity, written: true }) {
    super(file);
    this.#interruption = interruption;
  }

  override commit(...commit: Parameters<Store["commit"]>): void {
    if (this.crashed) throw new Error("the process is gone");
    const { every, written } = this.#interruption;
    this.crashed = ++this.#commits > every;
    if (!this.crashed || written) super.commit(...commit);
    if (this.crashed) throw new Error("the process ends here");
  }
}

class Builder {
  #count = 0;

  processor(steps: readonly Step[]): { StartAt: string; States: Record<string, object> } {
    const states: Record<string, object> = {};
    const end = this.#name("end");
    states[end] = { Type: "Pass", End: true };
    return { StartAt: this.#chain(steps, end, states), States: states };
  }

  /** Adds the steps before `next` and returns the name of the first. */
  #chain(steps: readonly Step[], next: string, states: Record<string, object>): string {
    return steps.reduceRight((following, step) => {
      const name = this.#name(step.kind);
      states[name] = this.#state(step, following, states);
      return name;
    }, next);
  }

  #state(step: Step, Next: string, states: Record<string, object>): object {
    const add = (more: object) => ({
      ...invoke("add", {
        n: "{% $states.input %}",
        retry: "{% $states.context.State.RetryCount %}",
        ...more,
      }),
      Output: "{% $states.result.Payload %}",
      Next,
    });
    switch (step.kind) {
      case "pass":
        return {
          Type: "Pass",
          Assign: { [this.#name("seen")]: "{% $states.input %}" },
          Output: "{% $states.input * 2 %}",
          Next,
        };
      case "wait":
        return { Type: "Wait", Seconds: 1, Next };
      case "ask":
        return {
          ...callback("ask"),
          Arguments: {
            FunctionName: "ask",
            Payload: { token: "{% $states.context.Task.Token %}", n: "{% $states.input %}" },
          },
          Next,
        };
      case "fail":
        return { ...add({ failures: 99 }), Catch: [{ ErrorEquals: ["Busy"], Output: 3, Next }] };
      case "child":
        return {
          Type: "Task",
          Resource: "arn:aws:states:::states:startExecution.sync:2",
          Arguments: { StateMachineArn: machineArn("child"), Input: "{% $states.input %}" },
          Output: "{% $states.result.Output %}",
          Next,
        };
      case "task":
        return {
          ...add({ failures: step.failures }),
          Retry: [{ ErrorEquals: ["Busy"], IntervalSeconds: 1 }],
        };
      case "choice": {
        const even = this.#chain(step.even, Next, states);
        const Default = this.#chain(step.odd, Next, states);
        return {
          Type: "Choice",
          Choices: [{ Condition: "{% $states.input % 2 = 0 %}", Next: even }],
          Default,
        };
      }
      case "map":
        return {
          Type: "Map",
          Items: Array.from({ length: step.count }, (_, index) => index),
          MaxConcurrency: step.concurrency,
          ItemSelector: "{% $states.input + $states.context.Map.Item.Value %}",
          ItemProcessor: this.processor(step.steps),
          Output: "{% $sum($states.result) %}",
          Next,
        };
      case "parallel": {
        const Branches = step.branches.map((branch) => this.processor(branch));
        return { Type: "Parallel", Branches, Output: "{% $sum($states.result) %}", Next };
      }
    }
  }

  #name(kind: string): string {
    return `${kind}${this.#count++}`;
  }
}
