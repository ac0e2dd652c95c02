/** A workflow's definition as its tests look at it, beside the errors that there are. */
import { globSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { environments } from "#shared/environment.ts";

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
    this.text = readFileSync(join(import.meta.dirname, `../${name}.asl.json`), "utf8");
  }

  /** Of the workflow itself, without those inside maps. */
  get states(): Readonly<Record<string, State>> {
    return (JSON.parse(this.text) as { States: Record<string, State> }).States;
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
  get placeholders(): string[] {
    return [...new Set(this.text.match(/\$\{\w+\}/g))].sort();
  }

  /** What a validator of the language says. */
  validate(): unknown {
    return createRequire(import.meta.url)("asl-validator")(JSON.parse(this.text));
  }

  /** The definition, with functions by their plain names: `CheckPreflight`. */
  runnable(): object {
    const text = this.text.replace(
      /\$\{(\w+)FunctionArn\}/g,
      "arn:aws:lambda:local-1:000000000000:function:$1",
    );
    return JSON.parse(text) as object;
  }
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
