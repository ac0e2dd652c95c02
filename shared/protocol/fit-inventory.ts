/** An inventory that is too large for one message loses lists in a stated order, and says so. */
import { Inventory } from "./inventory.ts";
import { jsonBytes } from "./message-size.ts";

/** The other fields of an event need far less than the rest of a message. */
export const MAX_INVENTORY_BYTES: number = 100 * 1024;

/** A list, by the field names that lead to it, such as `disks.partitions`. */
type ListName = string;

/**
 * The lists to cut first, least important first. All other lists follow in alphabetical order; disks are cut
 * last, because the rest of an inventory is useless without them, and before them the fenced services and the
 * check scripts: a list without one refuses a cutover.
 */
const FIRST: readonly ListName[] = ["cpu.flags", "bootLoader.entries", "network.routes", "missingTools"];
const LAST: readonly ListName[] = [
  "network.interfaces",
  "disks.partitions",
  "fencedUnits",
  "fencedServices",
  "checkScripts",
  "disks",
];

/**
 * The inventory, shortened to the schema's limits and to at most 100 KiB of JSON. `problems` names each
 * shortened list, with the number of its entries that are left.
 */
export function fitInventory(taken: Inventory): Inventory {
  const { problems = [], ...whole } = withinSchema(taken);
  let fitted = whole;
  for (const list of cutOrder(whole)) {
    if (sizeOf(fitted, taken, problems) <= MAX_INVENTORY_BYTES) break;
    fitted = withMost(fitted, list, (candidate) => sizeOf(candidate, taken, problems) <= MAX_INVENTORY_BYTES);
  }
  const all = [...problems, ...cuts(fitted, taken)].slice(0, MAX_PROBLEMS);
  return all.length > 0 ? { ...fitted, problems: all } : fitted;
}

const MAX_PROBLEMS = 64;

type Listed = Omit<Inventory, "problems">;

function sizeOf(fitted: Listed, taken: Listed, problems: readonly string[]): number {
  return jsonBytes({ ...fitted, problems: [...problems, ...cuts(fitted, taken)] });
}

/**
 * Keeps as many entries of the list as `fits` allows, found by binary search; none if even one is too much.
 */
function withMost(inventory: Listed, list: ListName, fits: (candidate: Listed) => boolean): Listed {
  let [kept, most] = [0, longest(inventory, list)];
  while (kept < most) {
    const middle = Math.ceil((kept + most) / 2);
    if (fits(capped(inventory, list, middle))) kept = middle;
    else most = middle - 1;
  }
  return capped(inventory, list, kept);
}

function cutOrder(inventory: Listed): ListName[] {
  const others = [...listsOf(inventory).keys()].filter(
    (name) => !FIRST.includes(name) && !LAST.includes(name),
  );
  return [...FIRST, ...others.sort(), ...LAST];
}

/** Every list by its name, with the total number of entries in all lists of that name. */
function listsOf(value: unknown, path = "", found = new Map<ListName, number>()): Map<ListName, number> {
  if (Array.isArray(value)) {
    found.set(path, (found.get(path) ?? 0) + value.length);
    for (const each of value) listsOf(each, path, found);
  } else if (typeof value === "object" && value !== null) {
    for (const [name, inner] of Object.entries(value)) listsOf(inner, path ? `${path}.${name}` : name, found);
  }
  return found;
}

function longest(value: unknown, list: ListName, path = ""): number {
  if (Array.isArray(value)) {
    const inner = value.map((each) => longest(each, list, path));
    return Math.max(path === list ? value.length : 0, ...inner);
  }
  if (typeof value !== "object" || value === null) return 0;
  const inner = Object.entries(value).map(([name, each]) =>
    longest(each, list, path ? `${path}.${name}` : name),
  );
  return Math.max(0, ...inner);
}

function capped<T>(value: T, list: ListName, most: number, path = ""): T {
  if (Array.isArray(value)) {
    const kept = path === list ? value.slice(0, most) : value;
    return kept.map((each) => capped(each, list, most, path)) as T;
  }
  if (typeof value !== "object" || value === null || !list.startsWith(path)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name,
      capped(each, list, most, path ? `${path}.${name}` : name),
    ]),
  ) as T;
}

function cuts(fitted: Listed, whole: Listed): string[] {
  const left = listsOf(fitted);
  return [...listsOf(whole)].flatMap(([list, count]) => {
    const kept = left.get(list) ?? 0;
    return kept < count
      ? [`only ${kept} of ${count} entries of ${list} are listed: more do not fit into a message`]
      : [];
  });
}

/**
 * Shortens lists and texts to the schema's limits, so that the control plane does not refuse the inventory.
 */
function withinSchema(taken: Inventory): Inventory {
  const inventory = structuredClone(taken);
  const tooLong = () =>
    Inventory.safeParse(inventory).error?.issues.filter(
      (issue) => issue.code === "too_big" && (issue.origin === "array" || issue.origin === "string"),
    ) ?? [];
  for (let found = tooLong(); found.length > 0; found = tooLong()) {
    for (const { path, maximum } of found as { path: PropertyKey[]; maximum: number }[]) {
      const holder = path.slice(0, -1).reduce(memberOf, inventory) as Record<PropertyKey, unknown>;
      const last = path.at(-1) ?? "";
      holder[last] = (holder[last] as string | unknown[]).slice(0, maximum);
    }
  }
  return inventory;
}

function memberOf(holder: unknown, name: PropertyKey): unknown {
  return (holder as Record<PropertyKey, unknown>)[name];
}
