/** Sources and target hosts as a command line names them: by id, or by the name that the lists show. */
import { NotFoundError } from "#shared/errors.ts";
import type { ApiClient } from "#shared/protocol/client.ts";
import { AgentId } from "#shared/protocol/ids.ts";
import { everyItem } from "./api.ts";
import { UsageError } from "./errors.ts";

type Kind = "source" | "target host";
/** What the lists show of one. */
interface Named {
  id: string;
  name: string;
  revokedAt?: string | undefined;
}

/**
 * The id of the source with this name; an id stays as it is. Throws `NotFoundError`, and `UsageError` if
 * several have the name, also if all but one of them were revoked: a revoked source can have the points.
 */
export function sourceId(api: ApiClient, name = ""): Promise<string> {
  return idOf(api, name, ["source"]);
}

/** The id of the target host with this name. Throws as `sourceId` does. */
export function targetId(api: ApiClient, name: string): Promise<string> {
  return idOf(api, name, ["target host"]);
}

/** The id of the source or target host with this name. Throws as `sourceId` does. */
export function agentId(api: ApiClient, name = ""): Promise<string> {
  return idOf(api, name, ["source", "target host"]);
}

async function idOf(api: ApiClient, name: string, kinds: readonly Kind[]): Promise<string> {
  // The control plane says what is wrong with an empty one.
  if (name === "" || AgentId.safeParse(name).success) return name;
  const lists = await Promise.all(kinds.map((kind) => all(api, kind)));
  const [found, ...others] = lists.flat().filter((one) => one.name === name);
  if (!found) throw new NotFoundError(kinds[0] ?? "source", name);
  if (others.length === 0) return found.id;
  const shown = [found, ...others].map(({ id, revokedAt }) => (revokedAt ? `${id} (revoked)` : id));
  throw new UsageError(`several have the name ${name}: name one by its id, ${shown.join(" or ")}`);
}

function all(api: ApiClient, kind: Kind): Promise<Named[]> {
  return everyItem<Named>((cursor) => {
    const query = { limit: 200, ...(cursor ? { cursor } : {}) };
    return kind === "source" ? api.listSources({ query }) : api.listTargets({ query });
  });
}
