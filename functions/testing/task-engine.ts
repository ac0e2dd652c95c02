import { SFNClient } from "@aws-sdk/client-sfn";
import type * as z from "zod";
import type { Service } from "#local/core/service.ts";
import { PolicyEvaluator } from "#local/iam/policy-evaluator.ts";
import { StatesService } from "#local/states/service.ts";
import { KeptStore } from "#local/states/testing/kept-store.ts";
import {
  type Handler,
  HandlerError,
  ROLE,
  World as StatesWorld,
} from "#local/states/testing/states-world.ts";
import { CausewayError, failureOf } from "#shared/errors.ts";
import { WorkflowFile } from "../../statemachines/testing/workflow-file.ts";
import { embeddedIn } from "./embedded-client.ts";

/** A function that a workflow calls, as its file exports it. */
export interface Task {
  Input: z.ZodType;
  run: (input: never, deps: never) => Promise<unknown>;
}

export interface TaskEngineOptions {
  workflows: readonly string[];
  /** By the names of their placeholders in the definitions. */
  tasks: Readonly<Record<string, Task>>;
  /** What the functions get. */
  deps: () => unknown;
  /** Called before each call of a function. */
  onCall?: (name: string, payload: unknown) => unknown;
  /** Gets what ends the engine. */
  onEnd: (end: () => Promise<void>) => void;
}

/** Workflows on the states engine in virtual time, which call the real functions. */
export class TaskEngine {
  readonly states: StatesWorld;
  /** A client of Step Functions that asks this engine, also after it was killed and there is another one. */
  readonly sfn: SFNClient;
  readonly #options: TaskEngineOptions;
  #running = 0;

  constructor(options: TaskEngineOptions) {
    this.#options = options;
    const handlers = Object.entries(options.tasks).map(([name, task]): [string, Handler] => [
      name,
      (payload) => this.#call(name, task, payload),
    ]);
    const store = new KeptStore();
    const onEnd = (end: () => Promise<void>) =>
      options.onEnd(async () => {
        await end();
        store.end();
      });
    this.states = new StatesWorld(Object.fromEntries(handlers), { store, onEnd });
    for (const name of options.workflows) {
      const definition = new WorkflowFile(name).runnable();
      this.states.engine.putMachine({ name, definition, roleArn: ROLE });
    }
    this.sfn = new SFNClient(embeddedIn(this.#service));
  }

  /** Whether a function has not returned yet. */
  get isCalling(): boolean {
    return this.#running > 0;
  }

  async #call(name: string, { Input, run }: Task, payload: unknown): Promise<unknown> {
    this.#running++;
    try {
      await this.#options.onCall?.(name, payload);
      return await run(Input.parse(payload) as never, this.#options.deps() as never);
    } catch (error) {
      if (!(error instanceof CausewayError)) throw error;
      throw new HandlerError(error.name, JSON.stringify(failureOf(error)));
    } finally {
      this.#running--;
    }
  }

  get #service(): Service {
    const service = () => new StatesService(this.states.engine, new PolicyEvaluator());
    return {
      name: "states",
      handle: (request) => service().handle(request),
      renderError: (error) => service().renderError(error),
      close: async () => {},
    };
  }
}
