import { type CausewayError, failureOf } from "#shared/errors.ts";
import { createApiClient } from "#shared/protocol/client.ts";
import type { MachineDescription } from "#shared/protocol/enrolment-request.ts";
import { askForApproval } from "../identity/ask-for-approval.ts";
import type { Identity } from "../identity/identity.ts";
import type { ScreenInput } from "./screen-input.ts";

export interface IdentifyOptions {
  /** The control plane's URL, if it is known already. */
  url: string | undefined;
  machine: MachineDescription;
  typed: Pick<ScreenInput, "nextUrl">;
  /** Shows one line on the screen. */
  say: (line: string) => void;
  fetch: typeof fetch;
  now: () => Date;
  pollMs?: number;
}

const ANSWER_TIMEOUT_MS = 30_000;

/** Shows codes until one is approved. A person at the machine can type another control plane at any time. */
export async function identify(options: IdentifyOptions): Promise<Identity> {
  const { typed, say } = options;
  let { url } = options;
  for (;;) {
    if (url === undefined) say("Type the address of the control plane, such as https://api.example.com:");
    url ??= await typed.nextUrl();
    say(`Control plane: ${url}`);
    if (url.startsWith("http:"))
      say("Nothing protects this connection: use it only in a network where you trust everyone.");
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
      // The request that this cancels is not awaited.
      asking.catch(() => undefined);
    }
  }
}

function ask(url: string, options: IdentifyOptions, signal: AbortSignal): Promise<Identity> {
  const { machine, say, now, fetch: send, pollMs } = options;
  let lastTrouble = "";
  const api = createApiClient({
    url,
    fetch: (input, init) => send(input, { ...init, signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) }),
  });
  return askForApproval({
    ...{ api, url, machine, signal },
    ...(pollMs === undefined ? {} : { pollMs }),
    onCode: (code) => {
      lastTrouble = "";
      for (const line of codeInWords(code)) say(line);
    },
    onTrouble: ({ message }: CausewayError) => {
      // Must not scroll the code off the screen.
      if (message === lastTrouble) return;
      lastTrouble = message;
      say(`${message}: retrying. To use another control plane, type its address and press Enter.`);
      if (/certificate/i.test(message)) say(`This computer's clock says ${now().toISOString()}.`);
    },
  });
}

function codeInWords(code: string): string[] {
  return [
    "",
    "This computer is waiting for approval. Its code is",
    "",
    `        ${code}`,
    "",
    "On a computer where you use Causeway, type:",
    "",
    `        causeway approve ${code}`,
    "",
    "The code is valid for 15 minutes; then a new one appears here.",
  ];
}
