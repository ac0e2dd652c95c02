/** What proves that a machine answers. */
import * as z from "zod";
import { hiddenPartProblem, hostOf } from "../addresses.ts";

/** How many checks one machine may have. */
export const MOST_CHECKS = 8;

/** A text on its serial console; a login prompt if none is named. */
const ConsoleCheck = z.strictObject({
  kind: z.literal("console"),
  expect: z.string().min(1).max(200).optional(),
});

/** A connection that the target host can open. */
const TcpCheck = z.strictObject({
  kind: z.literal("tcp"),
  host: z.string().regex(/^[0-9A-Za-z][0-9A-Za-z.:-]{0,252}$/, "a host name or an address"),
  port: z.int().min(1).max(65_535),
});

/** A request of the target host that is answered with a status from 200 to 299. */
const HttpCheck = z.strictObject({
  kind: z.literal("http"),
  url: z
    .string()
    .max(300)
    .regex(/^https?:\/\/[!-~]+$/, "a URL that begins with http:// or https://, in ASCII")
    .refine((text) => urlProblem(text) === undefined, { error: ({ input }) => urlProblem(String(input)) }),
  /**
   * For https. `verified`: an authority that the target host trusts vouches for the name or address in the
   * URL. `any`: the certificate is not looked at.
   */
  certificate: z.enum(["verified", "any"]).default("verified"),
});

/** The name of an executable file on the target host, which its administrator put there. */
export const CheckScriptName = z
  .string()
  .regex(/^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/, "the name of a file: letters, digits, dot, dash and _");

/** A script of the target host that ends with status 0. */
const ScriptCheck = z.strictObject({ kind: z.literal("script"), name: CheckScriptName });

const singles = [ConsoleCheck, TcpCheck, HttpCheck, ScriptCheck] as const;

/** One check. */
export const SingleCheck = z.discriminatedUnion("kind", singles);
export type SingleCheck = z.infer<typeof SingleCheck>;

/** `all`: the machine has answered when each of these checks has succeeded once. */
export const AnswerCheck = z.discriminatedUnion("kind", [
  ...singles,
  z.strictObject({
    kind: z.literal("all"),
    checks: z
      .array(SingleCheck)
      .min(2)
      .max(MOST_CHECKS)
      .refine(
        (checks) => checks.filter(({ kind }) => kind === "console").length <= 1,
        "a machine has one console",
      ),
  }),
]);
export type AnswerCheck = z.infer<typeof AnswerCheck>;

/** Its parts, or itself. */
export function singleChecks(check: AnswerCheck): readonly SingleCheck[] {
  return check.kind === "all" ? check.checks : [check];
}

/** One or more checks as one: the reverse of `singleChecks`. */
export function combinedCheck(first: SingleCheck, others: readonly SingleCheck[]): AnswerCheck {
  return others.length === 0 ? first : { kind: "all", checks: [first, ...others] };
}

/** Whether the machine can succeed only if it is connected to its network. */
export function needsNetwork(check: AnswerCheck): boolean {
  return singleChecks(check).some((one) => endpointOfCheck(one) !== undefined);
}

/** Where the target host opens a connection; `undefined` if it opens none. */
export function endpointOfCheck(check: SingleCheck): { host: string; port: number } | undefined {
  if (check.kind === "tcp") return { host: check.host, port: check.port };
  if (check.kind !== "http") return undefined;
  const url = new URL(check.url);
  const { protocol, port } = url;
  return { host: hostOf(url), port: port === "" ? (protocol === "https:" ? 443 : 80) : Number(port) };
}

/** What it asks, in one word: a URL, or an address with its port; `undefined` if it opens no connection. */
export function endpointText(check: SingleCheck): string | undefined {
  if (check.kind === "http") return check.url;
  if (check.kind !== "tcp") return undefined;
  return `${check.host.includes(":") ? `[${check.host}]` : check.host}:${check.port}`;
}

function urlProblem(text: string): string | undefined {
  const url = URL.parse(text);
  if (!url || url.port === "0") return "not a URL";
  return hiddenPartProblem(url);
}
