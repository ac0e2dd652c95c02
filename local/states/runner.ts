import { setImmediate as nextTurn } from "node:timers/promises";
import { AwsError } from "#local/core/aws-error.ts";
import type { Clock, Timer } from "#local/core/service.ts";
import type { Execution } from "./execution.ts";
import { isAwaited, openTasks, type TaskCursor, type TaskProgress } from "./frames.ts";
import { advance, canAdvance, nextDeadline } from "./interpreter.ts";
import { type Returned, taskReturned } from "./kinds/task.ts";
import { compileMachine, type Machine } from "./machine.ts";
import type { Store } from "./store.ts";
import { HistoryFullError, type Tools, Transition } from "./transition.ts";

export interface RunnerOptions {
  arn: string;
  store: Store;
  clock: Clock;
  tools: Tools;
  /** Makes the task's call, or waits for the call it has made. Must not reject. */
  call(execution: Execution, task: TaskProgress): Promise<Returned>;
  /** Whether the execution may advance by itself yet. Signals are accepted before that. */
  mayRun(): boolean;
  /** Called when a task is no longer open because it ended or was abandoned. */
  onTaskGone(execution: Execution, taskId: number): void;
  onEnd(): void;
  onFault(error: unknown): void;
}

/** How long a transition that could not be written waits before it is tried again. */
const RETRY_MS = 1000;
/** After this number of consecutive transitions, the runner yields to other work in the process. */
const TRANSITIONS_PER_TURN = 50;

class RunnerClosedError extends Error {
  override readonly name = "RunnerClosedError";
}

/**
 * Runs one execution: one transition at a time, each committed before its effects. Effects follow from the
 * committed frames alone (a task that has not returned is invoked, the earliest deadline gets a timer), so a
 * new runner on an old file does what the previous one would have done.
 */
export class Runner {
  readonly #options: RunnerOptions;
  #loaded: { execution: Execution; machine: Machine } | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #stepQueued = false;
  #transitions = 0;
  #timer: Timer | undefined;
  /** Tasks that were open at the last commit and that start an execution, or have started one. */
  #parents = new Set<number>();
  /** By task: a running call, or its answer until that is committed. */
  readonly #calls = new Map<number, Returned | "running">();
  #state: "open" | "ended" | "closed" = "open";

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Starts or continues the execution's work. */
  wake(): void {
    void this.#enqueue(async () => this.#pump());
  }

  /** Restarts heartbeat deadlines that passed before now. */
  excuseHeartbeats(): void {
    void this.#enqueue(async () => {
      const now = this.#options.clock.now();
      const isOverdue = ({ task }: TaskCursor) => task.heartbeatAt !== undefined && task.heartbeatAt <= now;
      try {
        if (!openTasks(this.#load().execution.frames.root).some(isOverdue)) return;
        await this.#transact(async (t) => {
          for (const { task } of openTasks(t.root).filter(isOverdue)) {
            task.heartbeatAt = now + (task.heartbeatSeconds ?? 0) * 1000;
          }
        });
      } catch (error) {
        this.#retryLater(error);
      }
    });
  }

  /**
   * Applies an external change after everything that is due by now. Resolves with false if the execution has
   * already ended. Rejects with the `AwsError` that `change` throws, which must then not have changed
   * anything.
   */
  signal(change: (t: Transition) => Promise<void>): Promise<boolean> {
    return this.#enqueue(async () => {
      try {
        while (this.#isDue()) await this.#transact(advance);
        if (this.#state === "ended") return false;
        await this.#transact(change);
        return true;
      } finally {
        this.#pump();
      }
    });
  }

  /**
   * Stops at once, also between a transition and its effects. Resolves when no work is running.
   */
  async close(): Promise<void> {
    this.#state = "closed";
    this.#timer?.cancel();
    await this.#queue;
  }

  #enqueue<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(job);
    // The caller of `signal` sees the error; the queue only needs to know that the job has ended.
    this.#queue = result.catch(() => undefined);
    return result;
  }

  #load(): { execution: Execution; machine: Machine } {
    if (!this.#loaded) {
      const running = this.#options.store.running(this.#options.arn);
      if (!running) throw new Error(`${this.#options.arn} is not running`);
      this.#loaded = { execution: running.execution, machine: compileMachine(running.definition) };
      this.#parents = parentTasks(running.execution);
    }
    return this.#loaded;
  }

  async #transact(change: (t: Transition) => Promise<void>): Promise<void> {
    const { store, clock, tools } = this.#options;
    const { execution, machine } = this.#load();
    let t = new Transition(execution, machine, tools, clock.now());
    try {
      await change(t);
    } catch (error) {
      if (error instanceof AwsError) throw error;
      if (!(error instanceof HistoryFullError)) this.#options.onFault(error);
      t = new Transition(execution, machine, tools, clock.now());
      t.end({ status: "FAILED", error: "States.Runtime", cause: (error as Error).message });
    }
    if (this.#state === "closed") throw new RunnerClosedError("the engine is closed");
    try {
      store.commit(t);
    } catch (error) {
      // Memory is now ahead of the file, so discard it.
      this.#loaded = undefined;
      throw error;
    }
    execution.eventCount += t.events.length;
    const before = this.#parents;
    this.#parents = t.outcome ? new Set() : parentTasks(execution);
    if (t.outcome) {
      this.#state = "ended";
      this.#options.onEnd();
    }
    for (const id of before) if (!this.#parents.has(id)) this.#options.onTaskGone(execution, id);
  }

  /** Starts the effects of the committed frames, and the next step or the timer for it. */
  #pump(): void {
    this.#timer?.cancel();
    if (this.#state !== "open" || !this.#options.mayRun()) return;
    try {
      const { execution, machine } = this.#load();
      this.#startCalls(execution);
      const { clock } = this.#options;
      if (this.#settled() !== undefined || canAdvance(machine, execution, clock.now())) {
        this.#queueStep();
      } else {
        this.#transitions = 0;
        const at = nextDeadline(machine, execution);
        if (at < Infinity) this.#timer = clock.schedule(at - clock.now(), () => this.wake());
      }
    } catch (error) {
      this.#retryLater(error);
    }
  }

  #queueStep(): void {
    if (this.#stepQueued) return;
    this.#stepQueued = true;
    void this.#enqueue(async () => {
      this.#stepQueued = false;
      if (this.#state !== "open") return;
      try {
        await this.#step();
        if (++this.#transitions % TRANSITIONS_PER_TURN === 0) await nextTurn();
        this.#pump();
      } catch (error) {
        this.#retryLater(error);
      }
    });
  }

  async #step(): Promise<void> {
    const settled = this.#settled();
    if (!settled) return this.#transact(advance);
    const { id, returned } = settled;
    await this.#transact(async (t) => {
      const open = openTasks(t.root).find(({ task }) => task.id === id && isAwaited(task));
      // There is none if the task timed out, was cancelled, or got its callback first.
      if (open) await taskReturned(t, open, returned);
    });
    this.#calls.delete(id);
  }

  #isDue(): boolean {
    if (this.#state !== "open" || !this.#options.mayRun()) return false;
    const { execution, machine } = this.#load();
    return nextDeadline(machine, execution) <= this.#options.clock.now();
  }

  #settled(): { id: number; returned: Returned } | undefined {
    for (const [id, returned] of this.#calls) if (returned !== "running") return { id, returned };
    return undefined;
  }

  #startCalls(execution: Execution): void {
    for (const { task } of openTasks(execution.frames.root)) {
      if (!isAwaited(task) || this.#calls.has(task.id)) continue;
      this.#calls.set(task.id, "running");
      void this.#options.call(execution, task).then((returned) => {
        this.#calls.set(task.id, returned);
        this.wake();
      });
    }
  }

  #retryLater(error: unknown): void {
    if (this.#state === "closed") return;
    this.#options.onFault(error);
    this.#timer?.cancel();
    this.#timer = this.#options.clock.schedule(RETRY_MS, () => this.wake());
  }
}

function parentTasks({ frames }: Execution): Set<number> {
  const tasks = openTasks(frames.root).filter(({ task }) => task.work.kind === "execution");
  return new Set(tasks.map(({ task }) => task.id));
}
