/**
 * One conversion's workflows on the states engine, with functions and agents in memory that do what a test
 * says.
 */
import { HandlerError, ROLE, World } from "#local/states/testing/states-world.ts";
import type { AgentRecord } from "#shared/domain/agent.ts";
import { newConversion, workflowInput } from "#shared/domain/conversion.ts";
import { aSource } from "#shared/domain/testing/records.ts";
import { innermostError, type WorkflowError, workflowFailure } from "#shared/domain/workflow-failure.ts";
import type { Failure } from "#shared/errors.ts";
import type { CommandKind } from "#shared/protocol/commands.ts";
import { NewConversion } from "#shared/protocol/resources.ts";
import { agentAnswer, SHA } from "./agent-answers.ts";
import { executionArn, WorkflowFile, workflowArn, workflowFiles } from "./workflow-file.ts";

/** What the function that dispatches commands was given. */
export interface Dispatched {
  ownerId: string;
  agentId: string;
  kind: CommandKind;
  disk?: string;
  label?: string;
  round?: number;
  environment?: string;
  input: Record<string, unknown>;
  taskToken: string;
}

export const bootImage = {
  id: SHA,
  manifestKey: `boot-images/${SHA}/manifest.json`,
  signatureBase64: "c2ln",
  publicKeyPem: "PEM",
  files: [{ name: "vmlinuz", key: `boot-images/${SHA}/vmlinuz`, sizeBytes: 1, sha256: SHA }],
};

/** What an agent does with a command. */
export type AgentAct = (command: Dispatched, run: ConversionRun) => unknown;

/** The agent gives no sign of life. */
export const silent: AgentAct = () => undefined;

export const succeed =
  (change: object = {}): AgentAct =>
  (command, { world }) =>
    world.engine.sendTaskSuccess(command.taskToken, JSON.stringify({ ...agentAnswer(command), ...change }));

/** A failure of this name as agents and functions report it. */
export function failureNamed(name: string): Failure {
  return { name, message: `it was ${name}`, hint: `See to ${name}.`, retryable: false, details: { at: "x" } };
}

export const fail =
  (error: string): AgentAct =>
  (command, { world }) =>
    world.engine.sendTaskFailure(command.taskToken, { error, cause: JSON.stringify(failureNamed(error)) });

/** A function that fails with this error. */
export function throwing(errorType: string): never {
  throw new HandlerError(errorType, JSON.stringify(failureNamed(errorType)));
}

/** A command's kind, and which one of its kind: `capture-disk vda`, `reboot original`. */
export const keyOf = ({ kind, label, disk }: Dispatched): string =>
  [kind, label ?? disk].filter(Boolean).join(" ");

const abandoned = ({ error }: { error: WorkflowError }) => ({
  state: "failed",
  failure: workflowFailure(error),
});

export interface ConversionRunOptions {
  /** Of the conversion, unless `start` says otherwise. */
  request: object;
  /**
   * By command, or by kind: what happens to it, time after time; the last for all further ones. Without word
   * they succeed.
   */
  agents: Readonly<Record<string, AgentAct[]>>;
  functions: Readonly<Record<string, () => unknown>>;
  source?: AgentRecord;
}

export class ConversionRun {
  readonly world: World;
  readonly dispatched: Dispatched[] = [];
  readonly #options: ConversionRunOptions;
  #input = "{}";

  constructor(options: ConversionRunOptions) {
    this.#options = options;
    this.world = new World({
      CheckPreflight: () => ({ warnings: [], bootImage }),
      RecordRecoveryPoint: () => ({ pointId: "rp_1" }),
      CompleteConversion: () => ({ state: "completed" }),
      FinishRun: () => ({ state: "completed" }),
      AbandonRun: abandoned,
      RecordProof: () => ({ outcome: "equal" }),
      RecordVerdict: () => ({ verdict: "booted" }),
      FinishDrill: () => ({ state: "completed" }),
      AbandonDrill: abandoned,
      MoveLease: () => ({ term: 1, seconds: 0 }),
      FinishRecovery: () => ({ state: "completed" }),
      AbandonRecovery: abandoned,
      ...options.functions,
      AbandonConversion: ({ error }: { error: WorkflowError }) => {
        options.functions.AbandonConversion?.();
        return { state: "failed", failure: workflowFailure(error) };
      },
      DispatchCommand: async (command: Dispatched) => {
        this.dispatched.push(command);
        await this.#act(command);
        return { commandId: "c" };
      },
    });
    for (const name of workflowFiles) {
      const definition = new WorkflowFile(name).runnable();
      this.world.engine.putMachine({ name, definition, roleArn: ROLE });
    }
  }

  /** A conversion with these changes to what was asked for, begun. */
  async start(change: object = {}): Promise<this> {
    const { request, source = aSource() } = this.#options;
    const parties = { sourceId: "agt_source", targetId: "agt_target" };
    const conversion = newConversion(NewConversion.parse({ ...parties, ...request, ...change }), {
      id: "cnv_1",
      pointId: "rp_1",
      source,
      bootImageId: SHA,
      requestedBy: "ada",
      now: "2030-01-01T00:00:00.000Z",
    });
    this.#input = JSON.stringify(workflowInput(conversion));
    await this.begin();
    return this;
  }

  /**
   * Starts the workflow with the input that the control plane gives it, and lets everything happen that can
   * happen at once.
   */
  async begin(): Promise<void> {
    const stateMachineArn = workflowArn("conversion");
    this.world.engine.startExecution({ stateMachineArn, name: "cnv_1", input: this.#input });
    await this.world.settle();
  }

  get commands(): string[] {
    return this.dispatched.map(keyOf);
  }

  /** The last command, which has no answer yet. */
  get waiting(): Dispatched {
    const last = this.dispatched.at(-1);
    if (!last) throw new Error("nothing was dispatched");
    return last;
  }

  /** With what the clean-up was called, as the workflow in which it happened has it; empty if it was not. */
  get abandonedWith(): WorkflowError[] {
    return this.world
      .payloads("AbandonConversion")
      .map((payload) => innermostError((payload as { error: WorkflowError }).error));
  }

  /** Of the conversion, or of a workflow that it has started. */
  result(workflow = "conversion", name = "cnv_1"): ReturnType<World["result"]> {
    return this.world.result(executionArn(workflow, name));
  }

  async stop(workflow: string, name = "cnv_1"): Promise<void> {
    await this.world.engine.stopExecution(executionArn(workflow, name), {});
    await this.world.settle();
  }

  /** What came of the last command: its agent answers now. */
  async answer(act: AgentAct = succeed()): Promise<void> {
    await act(this.waiting, this);
    await this.world.settle();
  }

  #act(command: Dispatched): unknown {
    const { agents } = this.#options;
    const times = this.commands.filter((key) => key === keyOf(command)).length;
    const story = agents[keyOf(command)] ?? agents[command.kind] ?? [];
    const act = story[times - 1] ?? story.at(-1) ?? succeed();
    return act(command, this);
  }
}
