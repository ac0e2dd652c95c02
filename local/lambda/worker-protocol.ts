/** The messages between an execution environment and the worker thread in which its handler runs. */
export interface WorkerSetup {
  codeDirectory: string;
  handler: string;
  functionName: string;
  functionArn: string;
  memoryMegabytes: number;
  logGroup: string;
}

export interface InvokeMessage {
  requestId: string;
  /** JSON text. */
  event: string;
  timeoutMs: number;
}

/** An error as Lambda answers it. */
export interface ErrorPayload {
  errorType: string;
  errorMessage: string;
  trace?: string[];
}

export type WorkerMessage =
  | { kind: "ready" }
  | { kind: "result"; payload: string }
  | { kind: "error"; error: ErrorPayload }
  /** The worker cannot continue: the handler did not load, or an error was thrown outside of it. */
  | { kind: "fatal"; error: ErrorPayload };
