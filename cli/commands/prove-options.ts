import { ProofBudget } from "#shared/protocol/proof.ts";
import { type CliCall, type CliCommand, secondsOption } from "../command.ts";
import { UsageError } from "../errors.ts";

const DEFAULT_SECONDS = 60;

/** Whether files are compared, and for how long the source's are read. */
export const PROVE_HELP: [string, string][] = [
  [
    "--prove",
    "before the clone is adapted, compare its files with the source's, as the source's own kernel reads them; a difference ends it",
  ],
  [
    "--prove-seconds DURATION",
    `how long files of the source are read; those that are not reached are not compared (default ${DEFAULT_SECONDS}s)`,
  ],
];

export const PROVE_OPTIONS = {
  prove: { type: "boolean" },
  "prove-seconds": { type: "string" },
} as const satisfies CliCommand["options"];

/**
 * What the options of `PROVE_OPTIONS` ask for, or options of these names with a prefix; throws `UsageError`
 * about `command`.
 */
export function proveFields(call: CliCall, command: string, prefix = ""): { proveSeconds?: number } {
  const option = `${prefix}prove`;
  const seconds = secondsOption(call, `${option}-seconds`, command);
  if (call.values[option] !== true) {
    if (seconds !== undefined) throw new UsageError(`--${option}-seconds is about --${option}`, command);
    return {};
  }
  const proveSeconds = seconds ?? DEFAULT_SECONDS;
  if (!ProofBudget.safeParse(proveSeconds).success)
    throw new UsageError(
      `--${option}-seconds takes ${ProofBudget.minValue} to ${ProofBudget.maxValue}`,
      command,
    );
  return { proveSeconds };
}
