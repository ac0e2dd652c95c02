import type { Metadata, Position } from "./metadata.ts";
import type { ObjectVersion } from "./model.ts";

export const MAX_LISTED = 1000;

export interface ListQuery {
  bucket: string;
  prefix: string;
  /** Keys are grouped up to the first occurrence of this after the prefix; empty for no groups. */
  delimiter: string;
  maxKeys: number;
}

/**
 * Where a page starts: after `name`. If `name` is a common prefix that was already listed, the page starts
 * after every key with that prefix.
 */
export interface ListStart {
  name: string;
  isPrefix: boolean;
}

export interface ListPage {
  versions: ObjectVersion[];
  commonPrefixes: string[];
  /** Where the next page starts, if more follow, and the version id there if it is a key. */
  next?: ListStart & { versionId?: string };
}

/** The newest versions, by key. */
export function listObjects(metadata: Metadata, query: ListQuery, start?: ListStart): ListPage {
  const from = start ? behind(start) : { key: Buffer.alloc(0), belowSequence: 0 };
  return collect(query, from, (position) => metadata.current(query.bucket, position));
}

/**
 * All versions and delete markers, by key, newest first; `versionId` continues within the versions of
 * `start`.
 */
export function listVersions(
  metadata: Metadata,
  query: ListQuery,
  start?: ListStart,
  versionId?: string,
): ListPage {
  const version =
    start && versionId !== undefined ? metadata.version(query.bucket, start.name, versionId) : undefined;
  const from = version
    ? { key: Buffer.from(version.key), belowSequence: version.sequence }
    : start
      ? behind(start)
      : { key: Buffer.alloc(0), belowSequence: 0 };
  return collect(query, from, (position) => metadata.versions(query.bucket, position));
}

function collect(
  query: ListQuery,
  start: Position,
  fetch: (from: Position) => Iterable<ObjectVersion>,
): ListPage {
  const { prefix, delimiter, maxKeys } = query;
  const page: ListPage = { versions: [], commonPrefixes: [] };
  if (maxKeys === 0) return page;
  const first = { key: Buffer.from(prefix), belowSequence: Number.MAX_SAFE_INTEGER };
  let position: Position | undefined = Buffer.compare(first.key, start.key) > 0 ? first : start;
  let last: ListPage["next"];
  while (position) {
    const from: Position = position;
    position = undefined;
    for (const version of fetch(from)) {
      if (!version.key.startsWith(prefix)) break;
      if (page.versions.length + page.commonPrefixes.length === maxKeys)
        return last ? { ...page, next: last } : page;
      const group = groupOf(version.key, prefix, delimiter);
      if (group !== undefined) {
        page.commonPrefixes.push(group);
        last = { name: group, isPrefix: true };
        // Skip the rest of the group, so that a folder of any size needs only one query.
        position = behind(last);
        break;
      }
      page.versions.push(version);
      last = { name: version.key, isPrefix: false, versionId: version.versionId };
    }
  }
  return page;
}

function groupOf(key: string, prefix: string, delimiter: string): string | undefined {
  if (delimiter === "") return undefined;
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.slice(0, at + delimiter.length);
}

function behind({ name, isPrefix }: ListStart): Position {
  const key = Buffer.from(name);
  if (!isPrefix || key.length === 0) return { key, belowSequence: 0 };
  // The first key after all keys with this prefix. UTF-8 has no byte 0xff, so the last byte can always be
  // raised.
  key[key.length - 1] = (key.at(-1) ?? 0) + 1;
  return { key, belowSequence: Number.MAX_SAFE_INTEGER };
}
