import { realpathSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { Worker } from "node:worker_threads";
import type { Clock, Timer } from "../core/service.ts";
import type { FunctionConfiguration } from "./function-configuration.ts";
import type { LogSink } from "./log-sink.ts";
import type { ErrorPayload, InvokeMessage, WorkerMessage, WorkerSetup } from "./worker-protocol.ts";

/** How one invocation ended: the handler's answer as JSON text, or an error. */
export type Outcome = { payload: string; error?: undefined } | { error: ErrorPayload };

export interface EnvironmentOptions {
  configuration: FunctionConfiguration;
  /** Everything that the handler finds in `process.env`. */
  variables: Record<string, string>;
  /** Milliseconds since 1970. After this time its credentials are too old for another invocation. */
  usableUntil: number;
  clock: Clock;
  log: LogSink;
}

/** AWS allows 10 s, but its machines run nothing else. */
const INIT_LIMIT_SECONDS = 30;
const workerFile = new URL("./worker.ts", import.meta.url);

/**
 * One execution environment: a worker thread that has loaded the handler once and runs one event at a time.
 * It starts at once. A timeout, a crash or too little memory ends it permanently.
 */
export class Environment {
  readonly configuration: FunctionConfiguration;
  readonly usableUntil: number;
  readonly #clock: Clock;
  readonly #log: LogSink;
  readonly #worker: Worker;
  #ready = false;
  #dead: ErrorPayload | undefined;
  #requestId = "init";
  #timer: Timer;
  #current: { message: InvokeMessage; finish: (outcome: Outcome) => void } | undefined;

  constructor(options: EnvironmentOptions) {
    const { configuration } = options;
    this.configuration = configuration;
    this.usableUntil = options.usableUntil;
    this.#clock = options.clock;
    this.#log = options.log;
    const workerData: WorkerSetup = {
      codeDirectory: realpathSync(configuration.codeDirectory),
      handler: configuration.handler,
      functionName: configuration.name,
      functionArn: configuration.arn,
      memoryMegabytes: configuration.memoryMegabytes,
      logGroup: configuration.logGroup,
    };
    this.#worker = new Worker(workerFile, {
      workerData,
      env: options.variables,
      argv: [],
      execArgv: [],
      stdin: false,
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: configuration.memoryMegabytes },
    });
    this.#worker.on("message", (message: WorkerMessage) => this.#receive(message));
    this.#worker.on("error", (error) => this.#fail(exitError("signal: killed", error)));
    this.#worker.on("exit", (code) => this.#fail(exitError(`exit status ${code}`)));
    this.#capture(this.#worker.stdout, "INFO");
    this.#capture(this.#worker.stderr, "ERROR");
    this.#timer = this.#clock.schedule(INIT_LIMIT_SECONDS * 1000, () => this.#timeOut(INIT_LIMIT_SECONDS));
  }

  get isDead(): boolean {
    return this.#dead !== undefined;
  }

  /** Runs one event. Never rejects. The caller must wait for it to end before it starts another. */
  run(requestId: string, event: string): Promise<Outcome> {
    if (this.#current) throw new Error("an execution environment runs one event at a time");
    if (this.#dead) return Promise.resolve({ error: this.#withRequestId(this.#dead, requestId) });
    this.#requestId = requestId;
    const timeoutMs = this.configuration.timeoutSeconds * 1000;
    return new Promise((resolve) => {
      this.#current = { message: { requestId, event, timeoutMs }, finish: resolve };
      if (this.#ready) this.#start();
    });
  }

  /** Stops the thread, even during an invocation. */
  async end(): Promise<void> {
    this.#fail(exitError("signal: terminated"));
    await this.#worker.terminate();
  }

  #start(): void {
    if (!this.#current) return;
    this.#worker.postMessage(this.#current.message);
    const { timeoutSeconds } = this.configuration;
    this.#timer = this.#clock.schedule(timeoutSeconds * 1000, () => this.#timeOut(timeoutSeconds));
  }

  #receive(message: WorkerMessage): void {
    if (message.kind === "fatal") {
      this.#fail(message.error);
      return;
    }
    this.#timer.cancel();
    if (message.kind === "ready") {
      this.#ready = true;
      this.#start();
    } else {
      this.#finish(message.kind === "result" ? { payload: message.payload } : { error: message.error });
    }
  }

  #timeOut(seconds: number): void {
    this.#fail({
      errorType: "Sandbox.Timedout",
      errorMessage: `Error: Task timed out after ${seconds.toFixed(2)} seconds`,
    });
    void this.#worker.terminate();
  }

  #fail(error: ErrorPayload): void {
    if (this.#dead) return;
    this.#dead = error;
    this.#timer.cancel();
    this.#finish({ error: this.#withRequestId(error, this.#requestId) });
  }

  #finish(outcome: Outcome): void {
    const current = this.#current;
    this.#current = undefined;
    current?.finish(outcome);
  }

  /** Lambda adds the request id to its own errors, not to the handler's. */
  #withRequestId(error: ErrorPayload, requestId: string): ErrorPayload {
    return error.trace ? error : { ...error, errorMessage: `RequestId: ${requestId} ${error.errorMessage}` };
  }

  #capture(stream: Readable, level: "INFO" | "ERROR"): void {
    createInterface({ input: stream }).on("line", (text) => {
      this.#log.write(this.configuration.name, {
        level,
        requestId: this.#requestId,
        message: parseIfJson(text),
      });
    });
  }
}

function exitError(how: string, cause?: unknown): ErrorPayload {
  const detail = cause instanceof Error ? ` (${cause.message})` : "";
  return {
    errorType: "Runtime.ExitError",
    errorMessage: `Error: Runtime exited with error: ${how}${detail}`,
  };
}

/** Structured loggers print one JSON object per line. Parsing it avoids JSON inside JSON in the log file. */
function parseIfJson(text: string): unknown {
  if (!text.startsWith("{")) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
