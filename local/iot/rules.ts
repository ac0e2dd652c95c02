import { inspect } from "node:util";
import { AwsError } from "../core/aws-error.ts";
import type { Clock, LambdaInvoker } from "../core/service.ts";
import { iotArn, type Log } from "./ports.ts";
import { evaluate, type Json } from "./sql/evaluator.ts";
import { parseSql, type Statement } from "./sql/parser.ts";
import { matchesFilter, parseBasicIngest } from "./topic.ts";

export interface TopicRule {
  name: string;
  sql: string;
  enabled: boolean;
  /** ARNs of the functions that receive the selected values. */
  actions: string[];
  /** ARN of the function that is invoked with failures. */
  errorAction?: string;
}

/** A message that the broker accepted. */
export interface RuleMessage {
  topic: string;
  payload: Buffer;
  /** Absent if the message did not arrive over MQTT. */
  clientId?: string;
  principal?: string;
}

interface Failure {
  failedAction: string;
  failedResource: string;
  errorMessage: string;
}

/** Deeper JSON is refused, because the code that invokes the functions walks it recursively. */
const MAX_JSON_DEPTH = 100;

/** Runs the topic rules of the templates on each message. Functions are invoked asynchronously. */
export class Rules {
  readonly #lambda: LambdaInvoker;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #rules = new Map<string, TopicRule & { statement: Statement }>();

  constructor(options: { lambda: LambdaInvoker; clock: Clock; log: Log }) {
    this.#lambda = options.lambda;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Throws `SqlParseException`. */
  put(rule: TopicRule): void {
    this.#rules.set(rule.name, { ...rule, statement: parseSql(rule.sql) });
  }

  /** Never throws. Failures go to the log and to the rule's error action. */
  dispatch(message: RuleMessage): void {
    const ingest = parseBasicIngest(message.topic);
    if (ingest) {
      const rule = this.#rules.get(ingest.rule);
      if (rule?.enabled) this.#run(rule, message, ingest.topic);
      else this.#log({ level: "warn", message: "no such rule for Basic Ingest", topic: message.topic });
      return;
    }
    for (const rule of this.#rules.values()) {
      const { from } = rule.statement;
      if (rule.enabled && from !== undefined && matchesFilter(from, message.topic)) {
        this.#run(rule, message, message.topic);
      }
    }
  }

  #run(rule: TopicRule & { statement: Statement }, message: RuleMessage, topic: string): void {
    const { clientId, principal } = message;
    let selected: Json | undefined;
    try {
      selected = evaluate(rule.statement, parseJson(message.payload), {
        topic,
        timestamp: this.#clock.now(),
        ...(clientId !== undefined && { clientId }),
        ...(principal !== undefined && { principal }),
      });
    } catch (error) {
      this.#fail(rule, message, topic, [failure("SqlEvaluation", ruleArn(rule.name), error)]);
      return;
    }
    if (selected === undefined) return;
    const failures: Failure[] = [];
    for (const functionArn of rule.actions) {
      try {
        this.#enqueue(rule.name, functionArn, selected);
      } catch (error) {
        failures.push(failure("LambdaAction", functionArn, error));
      }
    }
    if (failures.length > 0) this.#fail(rule, message, topic, failures);
  }

  #fail(rule: TopicRule, message: RuleMessage, topic: string, failures: Failure[]): void {
    this.#log({ level: "warn", message: "a topic rule failed", rule: rule.name, topic, failures });
    if (rule.errorAction === undefined) return;
    const report = {
      ruleName: rule.name,
      topic,
      clientId: message.clientId ?? "N/A",
      base64OriginalPayload: message.payload.toString("base64"),
      failures,
    };
    try {
      this.#enqueue(rule.name, rule.errorAction, report);
    } catch (error) {
      this.#log({
        level: "error",
        message: "the error action of a topic rule failed",
        rule: rule.name,
        error: inspect(error),
      });
    }
  }

  #enqueue(ruleName: string, functionArn: string, payload: unknown): void {
    this.#lambda.enqueue({
      functionArn,
      payload,
      caller: { kind: "service", service: "iot.amazonaws.com", sourceArn: ruleArn(ruleName) },
    });
  }
}

export function ruleArn(name: string): string {
  return iotArn("rule", name);
}

function parseJson(payload: Buffer): Json {
  let parsed: Json;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload));
  } catch (error) {
    throw new AwsError("InvalidPayload", "the payload is not JSON in UTF-8", 400, { cause: error });
  }
  let level: Json[] = [parsed];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_JSON_DEPTH) {
      throw new AwsError("InvalidPayload", `the payload nests deeper than ${MAX_JSON_DEPTH} levels`);
    }
    level = level.flatMap((json) => (typeof json === "object" && json !== null ? Object.values(json) : []));
  }
  return parsed;
}

function failure(failedAction: string, failedResource: string, error: unknown): Failure {
  return {
    failedAction,
    failedResource,
    errorMessage: error instanceof Error ? error.message : String(error),
  };
}
