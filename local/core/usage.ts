import type { LogSink } from "../lambda/log-sink.ts";
import type { LambdaInvoker, Service, ServiceRequest, ServiceResponse } from "./service.ts";

/** What AWS charges for, counted since the start. */
export interface Usage {
  /** PUT, COPY, POST and LIST. */
  s3Writes: number;
  /** GET and everything else, except DELETE, which is free. */
  s3Reads: number;
  /** Units of 1 KiB. An item's copy in an index counts as well. */
  dynamoDbWriteUnits: number;
  /** Units of 4 KiB, strongly consistent. */
  dynamoDbReadUnits: number;
  kmsRequests: number;
  kmsSignatures: number;
  stateTransitions: number;
  lambdaInvocations: number;
  /** What the functions had of memory, times how long they ran here. */
  lambdaGiBSeconds: number;
  schedulerInvocations: number;
  /** To and from devices, with connects, subscriptions and devices' acknowledgements, in units of 5 KiB. */
  mqttMessages: number;
  /** Rules that matched a message; each has one action. */
  ruleInvocations: number;
  snsPublishes: number;
  /** Of functions, with what Lambda adds for each invocation. */
  logBytes: number;
  /** Series of metrics that functions wrote to their logs. */
  metrics: number;
}

/** Lambda's own lines of an invocation: START, END and REPORT. */
const LAMBDA_LINES_BYTES = 400;
const DYNAMODB_WRITES = /^(Put|Update|Delete|BatchWrite|TransactWrite)/;

/** Counts what AWS would charge for. */
export class UsageMeter {
  readonly #counts: Omit<Usage, "metrics"> = {
    ...{ s3Writes: 0, s3Reads: 0, dynamoDbWriteUnits: 0, dynamoDbReadUnits: 0, kmsRequests: 0 },
    ...{ kmsSignatures: 0, stateTransitions: 0, lambdaInvocations: 0, lambdaGiBSeconds: 0 },
    ...{ schedulerInvocations: 0, mqttMessages: 0, ruleInvocations: 0, snsPublishes: 0, logBytes: 0 },
  };
  readonly #metrics = new Set<string>();

  get usage(): Usage {
    return { ...this.#counts, metrics: this.#metrics.size };
  }

  add(what: keyof Omit<Usage, "metrics">, amount = 1): void {
    this.#counts[what] += amount;
  }

  invoked(milliseconds: number, memoryMiB: number): void {
    this.add("lambdaInvocations");
    this.add("lambdaGiBSeconds", (Math.max(1, Math.ceil(milliseconds)) / 1000) * (memoryMiB / 1024));
    this.add("logBytes", LAMBDA_LINES_BYTES);
  }

  message(bytes: number): void {
    this.add("mqttMessages", Math.max(1, Math.ceil(bytes / 5120)));
  }

  /** The same service, whose calls are counted. */
  metered(service: Service): Service {
    return {
      name: service.name,
      handle: async (request) => {
        const response = await service.handle(request);
        this.#called(service.name, request, response);
        return response;
      },
      renderError: (error, request) => service.renderError(error, request),
      close: () => service.close(),
    };
  }

  /** The same functions, each of whose invocations also counts as one of these. */
  meteredInvoker(lambda: LambdaInvoker, what: "schedulerInvocations" | "ruleInvocations"): LambdaInvoker {
    return {
      invoke: (request) => {
        this.add(what);
        return lambda.invoke(request);
      },
      enqueue: (request) => {
        this.add(what);
        lambda.enqueue(request);
      },
    };
  }

  /** The same logs, of which what functions write is counted. */
  meteredLog(log: LogSink): LogSink {
    return {
      write: (source, line) => {
        if (line.requestId !== undefined) this.#logged(line.message);
        log.write(source, line);
      },
    };
  }

  #called(service: string, request: ServiceRequest, response: ServiceResponse): void {
    const operation =
      String(request.headers["x-amz-target"] ?? "")
        .split(".")
        .at(-1) ?? "";
    const requestBytes = Number(request.headers["content-length"] ?? 0);
    if (service === "s3") this.#calledS3(request);
    else if (service === "kms") this.add(operation === "Sign" ? "kmsSignatures" : "kmsRequests");
    else if (service === "sns") this.add("snsPublishes");
    else if (service === "iotdata") this.message(requestBytes);
    else if (service === "dynamodb") {
      if (DYNAMODB_WRITES.test(operation))
        this.add("dynamoDbWriteUnits", 2 * Math.max(1, Math.ceil(requestBytes / 1024)));
      else this.add("dynamoDbReadUnits", Math.max(1, Math.ceil(lengthOf(response) / 4096)));
    }
  }

  #calledS3({ method, query }: ServiceRequest): void {
    if (method === "DELETE") return;
    const isList = query.has("list-type") || query.has("uploads");
    this.add(method === "PUT" || method === "POST" || isList ? "s3Writes" : "s3Reads");
  }

  #logged(message: unknown): void {
    this.add("logBytes", Buffer.byteLength(JSON.stringify(message) ?? ""));
    for (const series of seriesOf(message)) this.#metrics.add(series);
  }
}

function lengthOf({ body }: ServiceResponse): number {
  return typeof body === "string" || Buffer.isBuffer(body) ? Buffer.byteLength(body) : 0;
}

interface EmbeddedMetrics {
  _aws?: {
    CloudWatchMetrics?: { Namespace: string; Dimensions: string[][]; Metrics: { Name: string }[] }[];
  };
}

/** Each set of dimension values is a series of its own. */
function seriesOf(message: unknown): string[] {
  if (typeof message !== "object" || message === null) return [];
  const { _aws } = message as EmbeddedMetrics;
  return (_aws?.CloudWatchMetrics ?? []).flatMap(({ Namespace, Dimensions, Metrics }) =>
    Dimensions.flatMap((names) => {
      const values = names.map((name) => (message as Record<string, unknown>)[name]);
      return Metrics.map(({ Name }) => JSON.stringify([Namespace, Name, names, values]));
    }),
  );
}
