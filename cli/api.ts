import { type ApiClient, createApiClient } from "#shared/protocol/client.ts";
import { type CliCall, textOption } from "./command.ts";
import { UsageError } from "./errors.ts";
import { secretOption } from "./secret-option.ts";

/** Options of every command that talks to the API. */
export const API_OPTIONS = {
  url: { type: "string" },
  token: { type: "string" },
  "token-file": { type: "string" },
} as const;
export const API_HELP: [string, string][] = [
  ["--url URL", "the API (else CAUSEWAY_URL)"],
  ["--token-file FILE", "holds your access token (else CAUSEWAY_TOKEN)"],
  ["--token -", "reads it from standard input; given here itself, every user of this machine can see it"],
];

/** The API that the options or the environment name. */
export function apiOf(call: CliCall): ApiClient {
  const url = urlOption(call) ?? call.environment.CAUSEWAY_URL;
  const token = secretOption(call, { option: "token", variable: "CAUSEWAY_TOKEN" });
  if (!url) throw new UsageError("which control plane? Set CAUSEWAY_URL or give --url");
  if (!token) throw new UsageError("no access token: set CAUSEWAY_TOKEN or give --token-file");
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

/** Follows the cursors of a list to its end. */
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
