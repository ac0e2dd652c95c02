import { AwsError } from "#local/core/aws-error.ts";

const DEFAULT_PAGE = 100;

/** As on AWS, 0 asks for the default. */
export function pageSize(maxResults: number | undefined): number {
  return maxResults || DEFAULT_PAGE;
}

/** Where a list continues. Throws `InvalidToken` if the text is not from `writePageToken`. */
export function readPageToken(token: string | undefined): string | undefined {
  if (token === undefined) return undefined;
  const [mark, ...position] = Buffer.from(token, "base64url").toString().split(":");
  if (mark !== "page" || position.length === 0)
    throw new AwsError("InvalidToken", "Invalid Token: 'nextToken'");
  return position.join(":");
}

/** The token for the rest of a list. Needs one row more than the page has. */
export function writePageToken<T>(
  rows: readonly T[],
  size: number,
  position: (row: T) => string,
): { nextToken?: string } {
  const last = rows[size - 1];
  if (rows.length <= size || last === undefined) return {};
  return { nextToken: Buffer.from(`page:${position(last)}`).toString("base64url") };
}
