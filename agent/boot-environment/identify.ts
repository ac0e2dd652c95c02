import { type CausewayError, failureOf } from "#shared/errors.ts";
import { createApiClient } from "#shared/protocol/client.ts";
import type { MachineDescription } from "#shared/protocol/enrolment-request.ts";
import { askForApproval } from "../identity/ask-for-approval.ts";
import type { Identity } from "../identity/identity.ts";
import type { Typed } from "./typed.ts";

export interface IdentifyOptions {
  /** Of the control plane, where it is known already. */
  url: string | undefined;
  machine: MachineDescription;
  typed: Pick<Typed, "nextUrl">;
  /** One line for the screen. */
  say: (line: string) => void;
  fetch: typeof fetch;
  now: () => Date;
  pollMs?: number;
}

const ANSWER_PATIENCE_MS = 30_000;

/**
 * Shows codes until one is approved. Whoever stands before the machine may type another control plane at any
 * time.
 */
export async function identify(options: IdentifyOptions): Promise<Identity> {
  const { typed, say } = options;
  let { url } = options;
  for (;;) {
    if (url === undefined) say("Type the address of the control plane, such as https://api.example.com:");
    url ??= await typed.nextUrl();
    say(`Control plane: ${url}`);
    if (url.startsWith("http:"))
      say("Nothing protects the way there: use it only in a network where you trust everybody.");
    const abort = new AbortController();
    const other = typed.nextUrl();
    const asking = ask(url, options, abort.signal);
    try {
      const first = await Promise.race([asking, other]);
      if (typeof first !== "string") return first;
      url = first;
    } catch (error) {
      const { message, hint } = failureOf(error);
      say(`${message}. ${hint}`);
      url = undefined;
    } finally {
      abort.abort();
      // What ends by that is not waited for.
      asking.catch(() => undefined);
    }
  }
}

function ask(url: string, options: IdentifyOptions, signal: AbortSignal): Promise<Identity> {
  const { machine, say, now, fetch: send, pollMs } = options;
  let lastTrouble = "";
  const api = createApiClient({
    url,
    fetch: (input, init) => send(input, { ...init, signal: AbortSignal.timeout(ANSWER_PATIENCE_MS) }),
  });
  return askForApproval({
    ...{ api, url, machine, signal },
    ...(pollMs === undefined ? {} : { pollMs }),
    onCode: (code) => {
      lastTrouble = "";
      for (const line of codeInWords(code)) say(line);
    },
    onTrouble: ({ message }: CausewayError) => {
      // The code must not scroll away.
      if (message === lastTrouble) return;
      lastTrouble = message;
      say(`${message}: trying again. Type another address and press Enter to change it.`);
      if (/certificate/i.test(message)) say(`This computer's clock says ${now().toISOString()}.`);
    },
  });
}

function codeInWords(code: string): string[] {
  return [
    "",
    "This computer waits for approval. Its code is",
    "",
    `        ${code}`,
    "",
    "Where you use Causeway, type:",
    "",
    `        causeway approve ${code}`,
    "",
    "The code is good for 15 minutes; then another one appears here.",
  ];
}
