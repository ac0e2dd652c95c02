/** A workflow's definition as its tests look at it, beside the errors that there are. */
import { globSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { environments } from "#shared/environment.ts";
import { captureWorkflows } from "#shared/protocol/conversion-types.ts";

const shared = join(import.meta.dirname, "../../shared");
const errorTexts = globSync("errors/*.ts", { cwd: shared })
  .map((path) => readFileSync(join(shared, path), "utf8"))
  .join("\n");

/** The errors that cross boundaries, by their wire names. */
export const errorNames: ReadonlySet<string> = new Set(
  [...errorTexts.matchAll(/override readonly name = "(\w+)"/g)].map(([, name]) => name ?? ""),
);

/** Those of them that may pass by themselves. */
export const retryableErrors: readonly string[] = [
  ...errorTexts.matchAll(/name = "(\w+)";\s+readonly retryable = true/g),
].map(([, name]) => name ?? "");

const SUFFIX = ".asl.json";

/** Every workflow there is, by its name. */
export const workflowFiles: readonly string[] = globSync(`*${SUFFIX}`, {
  cwd: join(import.meta.dirname, ".."),
})
  .map((file) => file.slice(0, -SUFFIX.length))
  .sort();

export interface State {
  Type: string;
  Resource?: string;
  Catch?: { ErrorEquals: string[]; Next: string }[];
  Next?: string;
}

export class WorkflowFile {
  readonly text: string;

  /** `name`: of `statemachines/NAME.asl.json`. */
  constructor(name: string) {
    this.text = readFileSync(join(import.meta.dirname, `../${name}${SUFFIX}`), "utf8");
  }

  /** Of the workflow itself, without those inside maps. */
  get states(): Readonly<Record<string, State>> {
    return (JSON.parse(this.text) as { States: Record<string, State> }).States;
  }

  /** Every state wherever it is, those inside maps too, by its name. */
  get allStates(): { name: string; state: Record<string, unknown> }[] {
    const found: { name: string; state: Record<string, unknown> }[] = [];
    JSON.parse(this.text, (name, value) => {
      if (value?.Type !== undefined) found.push({ name, state: value });
      return value;
    });
    return found;
  }

  /** Every value of this key, anywhere in the definition. */
  all(key: string): unknown[] {
    const found: unknown[] = [];
    JSON.parse(this.text, (name, value) => {
      if (name === key) found.push(value);
      return value;
    });
    return found;
  }

  /** Every task state, wherever it is. */
  get tasks(): { Resource: string; TimeoutSeconds?: unknown; HeartbeatSeconds?: unknown }[] {
    const found: { Resource: string }[] = [];
    JSON.parse(this.text, (_, value) => {
      if (value?.Type === "Task") found.push(value);
      return value;
    });
    return found;
  }

  /** The errors that some state tries again. */
  get retried(): string[] {
    return this.all("Retry").flatMap((rules) =>
      (rules as { ErrorEquals: string[] }[]).flatMap(({ ErrorEquals }) => ErrorEquals),
    );
  }

  /** The errors that it catches, tries again or ends with, where they are not computed. */
  get namedErrors(): string[] {
    const names = [...this.all("ErrorEquals").flat(), ...this.all("Error")].map(String);
    return names.filter((name) => !name.startsWith("{%"));
  }

  /** The functions that it calls, as placeholders. */
  get functionPlaceholders(): string[] {
    return [...new Set(this.text.match(/\$\{\w+FunctionArn\}/g))];
  }

  /** What a validator of the language says, with every placeholder filled in. */
  validate(): unknown {
    return createRequire(import.meta.url)("asl-validator")(JSON.parse(this.runnable()));
  }

  /** The definition, with functions by their plain names, `CheckPreflight`, and workflows by theirs. */
  runnable(): string {
    const captures = captureWorkflows.map((name) => `'${name}': '${workflowArn(name)}'`);
    return this.text
      .replace(/\$\{(\w+)FunctionArn\}/g, "arn:aws:lambda:local-1:000000000000:function:$1")
      .replace(/\$\{CaptureWorkflowArns\}/g, `{${captures.join(", ")}}`)
      .replace(/\$\{HotCaptureWorkflowArn\}/g, workflowArn("hot-capture"))
      .replace(/\$\{ProtectionRunWorkflowArn\}/g, workflowArn("protection-run"))
      .replace(/\$\{MakeCloneWorkflowArn\}/g, workflowArn("make-clone"))
      .replace(/\$\{ProveCloneWorkflowArn\}/g, workflowArn("prove-clone"));
  }
}

/** The state machine that a workflow is in these tests. */
export function workflowArn(name: string): string {
  return `arn:aws:states:local-1:000000000000:stateMachine:${name}`;
}

/**
 * The placeholders of all task functions there are: `tasks/check-preflight` is
 * `${CheckPreflightFunctionArn}`.
 */
export const taskPlaceholders: readonly string[] = Object.keys(environments)
  .filter((name) => name.startsWith("tasks/"))
  .map((name) => `\${${pascal(name.slice("tasks/".length))}FunctionArn}`)
  .sort();

function pascal(name: string): string {
  return name.replace(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** An execution of that state machine, by its name. */
export function executionArn(workflow: string, name: string): string {
  return `${workflowArn(workflow).replace(":stateMachine:", ":execution:")}:${name}`;
}
