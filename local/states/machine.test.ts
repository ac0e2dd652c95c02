import { expect, test } from "vitest";
import { compileMachine } from "./machine.ts";
import { callback, invoke } from "./testing/states-world.ts";

const machine = (states: object, more: object = {}) =>
  JSON.stringify({ QueryLanguage: "JSONata", StartAt: "A", States: states, ...more });
const pass = { Type: "Pass", End: true };
const processor = { StartAt: "B", States: { B: pass } };

test("a machine's states are known by name, inner ones included", () => {
  const text = machine({ A: { Type: "Map", ItemProcessor: processor, End: true } });
  expect([...compileMachine(text).states.keys()]).toEqual(["A", "B"]);
});

test.each<[string, string]>([
  ["no JSON", "{"],
  ["a Next that does not exist", machine({ A: { Type: "Pass", Next: "Z" } })],
  ["a StartAt that does not exist", machine({ B: pass })],
  ["a state that nothing leads to", machine({ A: pass, B: pass })],
  ["neither Next nor End", machine({ A: { Type: "Pass" } })],
  ["both Next and End", machine({ A: { Type: "Pass", Next: "B", End: true }, B: pass })],
  ["a Default that does not exist", machine({ A: { Type: "Choice", Choices: [], Default: "Z" } })],
  ["a transition into a branch", machine({ A: { Type: "Map", ItemProcessor: processor, Next: "B" } })],
  [
    "two states of one name",
    machine({ A: { Type: "Parallel", Branches: [processor, processor], End: true } }),
  ],
  ["JSONata that does not parse", machine({ A: { ...pass, Output: "{% 1 + %}" } })],
  ["$eval", machine({ A: { ...pass, Output: "{% $eval('1') %}" } })],
  ["an unknown field", machine({ A: { ...pass, Otput: 1 } })],
  ["Wait without a time", machine({ A: { Type: "Wait", End: true } })],
  [
    "States.ALL beside another",
    machine({ A: { ...invoke("f"), End: true, Retry: [all("States.ALL", "X")] } }),
  ],
  [
    "States.ALL before another",
    machine({ A: { ...invoke("f"), End: true, Retry: [all("States.ALL"), all("X")] } }),
  ],
  [
    "lambda:invoke without a function",
    machine({ A: { ...invoke("f"), Arguments: { Payload: 1 }, End: true } }),
  ],
  [
    "a heartbeat as long as the timeout",
    machine({ A: { ...callback("f"), TimeoutSeconds: 9, HeartbeatSeconds: 9, End: true } }),
  ],
  ["a StartAt that only JavaScript knows", machine({ A: { ...pass, End: false, Next: "constructor" } })],
  ["assigning $states", machine({ A: { ...pass, Assign: { states: 1 } } })],
  [
    "hiding an outer variable",
    machine({
      A: {
        Type: "Map",
        ItemProcessor: { StartAt: "B", States: { B: { ...pass, Assign: { x: 1 } } } },
        Assign: { x: 2 },
        End: true,
      },
    }),
  ],
])("%s makes a definition invalid", (_, text) => {
  expect(() => compileMachine(text)).toThrow(expect.objectContaining({ code: "InvalidDefinition" }));
});

test.each<[string, string]>([
  ["JSONPath", JSON.stringify({ StartAt: "A", States: { A: pass } })],
  ["a JSONPath field", machine({ A: { ...pass, ResultPath: "$.a" } })],
  [
    "another integration",
    machine({ A: { Type: "Task", Resource: "arn:aws:states:::sqs:sendMessage", End: true } }),
  ],
  [
    "an activity",
    machine({ A: { Type: "Task", Resource: "arn:aws:states:local-1:000000000000:activity:a", End: true } }),
  ],
  [
    "an asynchronous invocation",
    machine({ A: { ...invoke("f"), Arguments: { FunctionName: "f", InvocationType: "Event" }, End: true } }),
  ],
  [
    "Distributed Map",
    machine({
      A: {
        Type: "Map",
        ItemProcessor: { ...processor, ProcessorConfig: { Mode: "DISTRIBUTED" } },
        End: true,
      },
    }),
  ],
  [
    "tolerated failures",
    machine({ A: { Type: "Map", ItemProcessor: processor, ToleratedFailureCount: 1, End: true } }),
  ],
  ["a heartbeat without a token", machine({ A: { ...invoke("f"), HeartbeatSeconds: 9, End: true } })],
])("%s is refused as unsupported", (_, text) => {
  expect(() => compileMachine(text)).toThrow(expect.objectContaining({ code: "NotImplemented" }));
});

test("a heartbeat with a token, and branches that share a variable's name, are fine", () => {
  const inner = (name: string) => ({ StartAt: name, States: { [name]: { ...pass, Assign: { x: 1 } } } });
  const states = {
    A: { ...callback("f"), HeartbeatSeconds: 9, Next: "B" },
    B: { Type: "Parallel", Branches: [inner("C"), inner("D")], End: true },
  };
  expect(() => compileMachine(machine(states))).not.toThrow();
});

function all(...ErrorEquals: string[]): object {
  return { ErrorEquals };
}
