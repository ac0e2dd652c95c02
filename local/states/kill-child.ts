/** `kill.test.ts` runs this until it is killed or its machine has ended: `node kill-child.ts FILE`. */
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "#local/core/clock.ts";
import { REGION } from "#local/core/service.ts";
import { StatesEngine } from "./engine.ts";
import { Store } from "./store.ts";

const [file = ""] = process.argv.slice(2);
const step = {
  Type: "Task",
  Resource: "arn:aws:states:::lambda:invoke",
  Arguments: { FunctionName: "work", Payload: "{% $states.input %}" },
  Output: "{% $states.result.Payload %}",
};
const definition = JSON.stringify({
  QueryLanguage: "JSONata",
  StartAt: "Each",
  States: {
    Each: {
      Type: "Map",
      Items: "{% $range(1, 20, 1) %}",
      MaxConcurrency: 3,
      ItemProcessor: {
        StartAt: "First",
        States: { First: { ...step, Next: "Second" }, Second: { ...step, End: true } },
      },
      Output: "{% $sum($states.result) %}",
      End: true,
    },
  },
});

const engine = new StatesEngine({
  store: new Store(file),
  clock: systemClock,
  lambda: {
    async invoke({ payload }) {
      await sleep(5);
      process.stdout.write("worked\n");
      return { payload: Number(payload) + 100 };
    },
    enqueue: () => undefined,
  },
  roles: {
    assumeForService: (roleArn, service) => ({
      kind: "session",
      arn: service,
      roleArn,
      sessionName: "kill",
      policies: [],
      context: {},
    }),
    issueCredentials: () => {
      throw new Error(`no credentials in ${REGION}`);
    },
  },
  authorizer: { authorize: () => undefined },
  onFault: (error) => {
    throw error;
  },
});
const { arn: stateMachineArn } = engine.putMachine({
  name: "machine",
  definition,
  roleArn: "arn:aws:iam::0:role/r",
});
const [known] = engine.store.executions(stateMachineArn, undefined, Number.MAX_SAFE_INTEGER, 1);
const { arn } = known ?? engine.startExecution({ stateMachineArn, name: "run" });
engine.start();
while (engine.execution(arn).status === "RUNNING") await sleep(5);
await engine.close();
