/**
 * One conversion's workflow on the states engine, with functions and agents in memory that do what a test
 * says.
 */
import { HandlerError, World } from "#local/states/testing/states-world.ts";
import { newConversion, workflowInput } from "#shared/domain/conversion.ts";
import { aSource } from "#shared/domain/testing/records.ts";
import type { CommandKind } from "#shared/protocol/commands.ts";
import { NewConversion } from "#shared/protocol/resources.ts";
import type { WorkflowFile } from "./workflow-file.ts";

/** What the function that dispatches commands was given. */
export interface Dispatched {
  conversionId: string;
  agentId: string;
  kind: CommandKind;
  disk?: string;
  label?: string;
  round?: number;
  environment?: string;
  input: Record<string, unknown>;
  taskToken: string;
}

const SHA = "a".repeat(64);
export const bootImage = {
  id: SHA,
  manifestKey: `boot-images/${SHA}/manifest.json`,
  signatureBase64: "c2ln",
  publicKeyPem: "PEM",
  files: [{ name: "vmlinuz", key: `boot-images/${SHA}/vmlinuz`, sizeBytes: 1, sha256: SHA }],
};

/** What agents answer to commands that succeed. */
const outputs: Partial<Record<CommandKind, (command: Dispatched) => object>> = {
  "stage-boot-image": () => ({ adapter: "grub", bytesStaged: 1 }),
  "arm-boot": () => ({
    adapter: "grub",
    bootId: "boot-1",
    savedStateKey: "sources/agt_source/boot-states/cnv_1.json",
    savedStateSha256: SHA,
    items: [],
  }),
  "report-boot-state": () => ({ restored: true, bootId: "boot-2", items: [], addresses: [] }),
  "attest-boot-state": () => ({ receipt: {} }),
  "capture-disk": ({ disk }) => ({
    disk: { name: disk, sizeBytes: 64, mapRoot: `root of ${disk}` },
    bytesRead: 64,
    bytesStored: 32,
    badRanges: 0,
    consistency: "crash" as const,
    wholeCopies: [],
    seconds: 1,
    bottleneck: "read",
  }),
  "commit-recovery-point": () => ({ pointId: "rp_1" }),
  materialise: ({ input }) => ({
    disks: (input.disks as { name: string }[]).map(({ name }) => ({
      name,
      path: `/images/${name}`,
      format: "qcow2",
      sizeBytes: 64,
    })),
    bytesWritten: 64,
    seconds: 1,
  }),
  verify: () => ({ bytesVerified: 64, seconds: 1 }),
  "boot-check": () => ({ verdict: "booted", reason: "login prompt", seconds: 5 }),
};

/** What an agent does with a command. */
export type AgentAct = (command: Dispatched, run: ConversionRun) => unknown;

/** The agent gives no sign of life. */
export const silent: AgentAct = () => undefined;

export const succeed =
  (change: object = {}): AgentAct =>
  (command, { world }) =>
    world.engine.sendTaskSuccess(
      command.taskToken,
      JSON.stringify({ ...outputs[command.kind]?.(command), ...change }),
    );

export const fail =
  (error: string): AgentAct =>
  (command, { world }) =>
    world.engine.sendTaskFailure(command.taskToken, { error, cause: "{}" });

/** A function that fails with this error. */
export function throwing(errorType: string): never {
  throw new HandlerError(errorType);
}

/** A command's kind, and which one of its kind: `capture-disk vda`, `reboot original`. */
export const keyOf = ({ kind, label, disk }: Dispatched): string =>
  [kind, label ?? disk].filter(Boolean).join(" ");

export interface ConversionRunOptions {
  workflow: WorkflowFile;
  /** Of the conversion, unless `start` says otherwise. */
  request: object;
  /**
   * By command, or by kind: what happens to it, time after time; the last for all further ones. Without word
   * they succeed.
   */
  agents: Readonly<Record<string, AgentAct[]>>;
  functions: Readonly<Record<string, () => unknown>>;
}

export class ConversionRun {
  readonly world: World;
  readonly dispatched: Dispatched[] = [];
  readonly #options: ConversionRunOptions;
  #arn = "";

  constructor(options: ConversionRunOptions) {
    this.#options = options;
    this.world = new World({
      CheckPreflight: () => ({ warnings: [], bootImage }),
      RecordRecoveryPoint: () => ({ pointId: "rp_1" }),
      CompleteConversion: () => ({ state: "completed" }),
      AbandonConversion: () => ({ state: "failed" }),
      ...options.functions,
      DispatchCommand: async (command: Dispatched) => {
        this.dispatched.push(command);
        await this.#act(command);
        return { commandId: "c" };
      },
    });
  }

  /**
   * Starts the workflow with the input that the control plane gives it, and lets everything happen that can
   * happen at once.
   */
  async start(change: object = {}): Promise<this> {
    const { workflow, request } = this.#options;
    const parties = { sourceId: "agt_source", targetId: "agt_target" };
    const conversion = newConversion(NewConversion.parse({ ...parties, ...request, ...change }), {
      id: "cnv_1",
      pointId: "rp_1",
      source: aSource(),
      bootImageId: SHA,
      requestedBy: "ada",
      now: "2030-01-01T00:00:00.000Z",
    });
    this.#arn = await this.world.start(workflow.runnable(), workflowInput(conversion));
    await this.world.settle();
    return this;
  }

  get commands(): string[] {
    return this.dispatched.map(keyOf);
  }

  /** The last command, which nobody has answered. */
  get waiting(): Dispatched {
    const last = this.dispatched.at(-1);
    if (!last) throw new Error("nothing was dispatched");
    return last;
  }

  /** With what the clean-up was called; empty if it was not. */
  get abandonedWith(): { Error: string; Cause?: string }[] {
    return this.world
      .payloads("AbandonConversion")
      .map((payload) => (payload as { error: { Error: string } }).error);
  }

  result(): ReturnType<World["result"]> {
    return this.world.result(this.#arn);
  }

  #act(command: Dispatched): unknown {
    const { agents } = this.#options;
    const times = this.commands.filter((key) => key === keyOf(command)).length;
    const story = agents[keyOf(command)] ?? agents[command.kind] ?? [];
    const act = story[times - 1] ?? story.at(-1) ?? succeed();
    return act(command, this);
  }
}
