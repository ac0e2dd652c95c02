import { AcceptableRule } from "#shared/protocol/rule-names.ts";

/** The help of `--accept`; names every rule that can be accepted. */
export const ACCEPT_HELP: [option: string, meaning: string] = [
  "--accept RULE",
  `convert although this preflight rule fails; can be repeated: ${AcceptableRule.options.join(", ")}`,
];
