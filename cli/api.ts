import { type ApiClient, createApiClient } from "#shared/protocol/client.ts";
import { type CliCall, textOption } from "./command.ts";
import { UsageError } from "./errors.ts";
import { secretOption } from "./secret-option.ts";

/** The options of every command that talks to the API. */
export const API_OPTIONS = {
  url: { type: "string" },
  token: { type: "string" },
  "token-file": { type: "string" },
} as const;
export const API_HELP: [string, string][] = [
  ["--url URL", "the control plane's API (default: CAUSEWAY_URL)"],
  ["--token-file FILE", "file that holds your access token (default: CAUSEWAY_TOKEN)"],
  [
    "--token -",
    "reads it from standard input; a token given on the command line can be read by every user of this machine",
  ],
];

/** The API that the options or the environment name. */
export function apiOf(call: CliCall): ApiClient {
  const url = urlOption(call) ?? call.environment.CAUSEWAY_URL;
  const token = secretOption(call, { option: "token", variable: "CAUSEWAY_TOKEN" });
  if (!url) throw new UsageError("no control plane given: set CAUSEWAY_URL or use --url");
  if (!token) throw new UsageError("no access token given: set CAUSEWAY_TOKEN or use --token-file");
  return createApiClient({
    url: checkedUrl(url),
    authorize: async ({ headers }) => ({ ...headers, authorization: `Bearer ${token}` }),
  });
}

/** The control plane that `--url` names, if it is given. */
export function urlOption(call: CliCall, command?: string): string | undefined {
  const url = textOption(call, "url");
  return url && checkedUrl(url, command);
}

function checkedUrl(url: string, command?: string): string {
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
    throw new UsageError(`not a URL that begins with http:// or https://: ${url}`, command);
  }
  return url;
}

/** Reads all pages of a list. */
export async function everyItem<T>(
  page: (cursor: string | undefined) => Promise<{ items: T[]; cursor: string | null }>,
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const answer = await page(cursor);
    items.push(...answer.items);
    cursor = answer.cursor ?? undefined;
  } while (cursor !== undefined);
  return items;
}
