import { AcceptableRule } from "#shared/protocol/rule-names.ts";

/** The help of `--accept`, which names every rule that can be accepted. */
export const ACCEPT_HELP: [option: string, meaning: string] = [
  "--accept RULE",
  `convert although this rule of preflight fails; may be repeated: ${AcceptableRule.options.join(", ")}`,
];
