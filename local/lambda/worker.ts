/**
 * Runs in a worker thread: loads one handler and answers one event at a time, as the Node.js 24 runtime of
 * Lambda does. The handler can reach nothing of the embedded cloud from here.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire, isBuiltin, registerHooks } from "node:module";
import { join, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parentPort, workerData } from "node:worker_threads";
import type { ErrorPayload, InvokeMessage, WorkerMessage, WorkerSetup } from "./worker-protocol.ts";

type Handler = (event: unknown, context: object) => unknown;

class RuntimeError extends Error {
  constructor(name: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = name;
  }
}

const setup = workerData as WorkerSetup;
const port = parentPort;
if (!port) throw new Error("this module runs in a worker thread only");
const send = (message: WorkerMessage): void => port.postMessage(message);

function describe(error: unknown): ErrorPayload {
  if (error instanceof Error || (typeof error === "object" && error !== null && "stack" in error)) {
    const { name, message, stack } = error as Error;
    return { errorType: String(name), errorMessage: String(message), trace: String(stack).split("\n") };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

/**
 * Resolves once the output so far has reached the main thread. Output still on its way is lost when the
 * thread ends.
 */
async function flushOutput(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength > 0) await new Promise((resolve) => stream.write("", resolve));
  }
}

async function die(error: unknown): Promise<void> {
  send({ kind: "fatal", error: describe(error) });
  await flushOutput();
  process.exit(1);
}
process.on("uncaughtException", die);
process.on("unhandledRejection", (reason) =>
  die(new RuntimeError("Runtime.UnhandledPromiseRejection", String(reason), { cause: reason })),
);

/**
 * On AWS the code is alone in /var/task. Here it is inside other folders, so this hides packages and any
 * package.json in the folders above it. They would make a function behave differently than on AWS.
 */
function isolate(codeDirectory: string): void {
  const inside = (url: string): boolean =>
    url.startsWith("file:") && fileURLToPath(url).startsWith(codeDirectory + sep);
  registerHooks({
    resolve(specifier, context, nextResolve) {
      const resolved = nextResolve(specifier, context);
      const fromHandler = context.parentURL !== undefined && inside(context.parentURL);
      if (fromHandler && !isBuiltin(resolved.url) && !inside(resolved.url)) {
        throw new RuntimeError(
          "Runtime.ImportModuleError",
          `Cannot find package '${specifier}': it is not in the function's code, bundle it`,
        );
      }
      return resolved;
    },
    load(url, context, nextLoad) {
      if (!inside(url) || !isPlainScript(codeDirectory, url)) return nextLoad(url, context);
      return { format: "commonjs", source: readFileSync(fileURLToPath(url)), shortCircuit: true };
    },
  });
}

/** A .js file is CommonJS if the function has no package.json of its own. */
function isPlainScript(codeDirectory: string, file: string): boolean {
  return file.endsWith(".js") && !existsSync(join(codeDirectory, "package.json"));
}

async function loadHandler({ codeDirectory, handler }: WorkerSetup): Promise<Handler> {
  const [, stem, name] = handler.match(/^(.*?[^/]*?)\.(.+)$/) ?? [];
  if (!stem || !name || handler.includes("..")) {
    throw new RuntimeError("Runtime.MalformedHandlerName", `Bad handler ${handler}`);
  }
  const file = [".mjs", ".js", ".cjs"].map((end) => join(codeDirectory, stem + end)).find(existsSync);
  if (!file) throw new RuntimeError("Runtime.ImportModuleError", `Error: Cannot find module '${stem}'`);
  let module: Record<string, unknown>;
  try {
    // `import` would consult the nearest package.json for a .js file before it calls the load hook.
    module = isPlainScript(codeDirectory, file)
      ? createRequire(file)(file)
      : await import(pathToFileURL(file).href);
  } catch (error) {
    throw loadError(error);
  }
  const lookUp = (from: unknown): unknown =>
    name
      .split(".")
      .reduce((value: unknown, key) => (value as Record<string, unknown> | undefined)?.[key], from);
  // If Node cannot detect a CommonJS export statically, the export is only on `default`.
  const found = lookUp(module) ?? lookUp(module.default);
  if (typeof found !== "function") {
    throw new RuntimeError("Runtime.HandlerNotFound", `${handler} is undefined or not exported`);
  }
  if (found.length >= 3) {
    throw new RuntimeError(
      "Runtime.CallbackHandlerDeprecated",
      "nodejs24.x runs async handlers only, not ones with a callback",
    );
  }
  return found as Handler;
}

function loadError(error: unknown): unknown {
  if (error instanceof SyntaxError) {
    return new RuntimeError("Runtime.UserCodeSyntaxError", String(error), { cause: error });
  }
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND"
    ? new RuntimeError("Runtime.ImportModuleError", String(error), { cause: error })
    : error;
}

function createContext({ requestId, timeoutMs }: InvokeMessage): object {
  const startedAt = performance.now();
  return {
    functionName: setup.functionName,
    functionVersion: "$LATEST",
    invokedFunctionArn: setup.functionArn,
    memoryLimitInMB: String(setup.memoryMegabytes),
    awsRequestId: requestId,
    logGroupName: setup.logGroup,
    logStreamName: requestId,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, Math.floor(timeoutMs - (performance.now() - startedAt))),
  };
}

async function answer(handler: Handler, message: InvokeMessage): Promise<void> {
  let ending: WorkerMessage;
  try {
    const result = await handler(JSON.parse(message.event), createContext(message));
    ending = { kind: "result", payload: JSON.stringify(result) ?? "null" };
  } catch (error) {
    ending = { kind: "error", error: describe(error) };
  }
  await flushOutput();
  send(ending);
}

try {
  isolate(setup.codeDirectory);
  const handler = await loadHandler(setup);
  port.on("message", (message: InvokeMessage) => void answer(handler, message));
  send({ kind: "ready" });
} catch (error) {
  await die(error);
}
