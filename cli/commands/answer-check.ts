import { inWords } from "#shared/problem-words.ts";
import {
  type AnswerCheck,
  CheckScriptName,
  combinedCheck,
  MOST_CHECKS,
  SingleCheck,
} from "#shared/protocol/answer-check.ts";
import { type CliCall, type CliCommand, textOption } from "../command.ts";
import { UsageError } from "../errors.ts";

/** How it is known that a machine answers: the options that recovering and cutting over share. */
export const ANSWER_OPTIONS = {
  answer: { type: "string", multiple: true },
  "any-certificate": { type: "boolean" },
  expect: { type: "string" },
  "check-script": { type: "string" },
} as const satisfies CliCommand["options"];

export const ANY_CERTIFICATE_HELP: [string, string] = [
  "--any-certificate",
  "do not look at the certificates of https (default: an authority that the target host trusts must vouch for the name)",
];

/**
 * The checks of `--answer`: `192.0.2.7:5432`, a connection that the target host can open, or a URL that
 * answers it. Throws `UsageError` about `command`.
 */
export function networkChecks(call: CliCall, command: string): SingleCheck[] {
  const texts = (call.values.answer as string[] | undefined) ?? [];
  const certificate = call.values["any-certificate"] === true ? "any" : "verified";
  if (certificate === "any" && !texts.some((text) => /^https:/i.test(text)))
    throw new UsageError("--any-certificate is about an --answer that begins with https://", command);
  return texts.map((text) => {
    const asked = /^https?:\/\//i.test(text) ? httpCheck(text, certificate) : tcpCheck(text);
    const read = SingleCheck.safeParse(asked, { error: inWords });
    if (read.success) return read.data;
    const why = read.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
    throw new UsageError(
      `--answer takes ADDRESS:PORT or URL, not ${text}${asked ? `: ${why}` : ""}`,
      command,
    );
  });
}

/** The check of what its console shows. */
export function consoleCheck(call: CliCall): SingleCheck {
  const expect = textOption(call, "expect");
  return { kind: "console", ...(expect === undefined ? {} : { expect }) };
}

/** The name of a check script; throws `UsageError` about `command`. */
export function checkScript(call: CliCall, command: string): string | undefined {
  const name = textOption(call, "check-script");
  if (name === undefined || CheckScriptName.safeParse(name).success) return name;
  throw new UsageError(
    `--check-script takes the name of a file in /etc/causeway/checks of the target host, not ${name}`,
    command,
  );
}

/** One or more checks as one. Throws `UsageError` about `command`. */
export function allOf(first: SingleCheck, others: readonly SingleCheck[], command: string): AnswerCheck {
  if (others.length >= MOST_CHECKS)
    throw new UsageError(`at most ${MOST_CHECKS} checks, not ${others.length + 1}`, command);
  return combinedCheck(first, others);
}

/** `undefined` if it is no URL. */
function httpCheck(text: string, certificate: string): object | undefined {
  const url = URL.parse(text)?.href;
  return url === undefined ? undefined : { kind: "http", url, certificate };
}

/** `undefined` if it is no address with a port. */
function tcpCheck(text: string): object | undefined {
  const [, host, port] = /^\[?([^\]]+?)\]?:(\d{1,5})$/.exec(text) ?? [];
  return host === undefined ? undefined : { kind: "tcp", host, port: Number(port) };
}
