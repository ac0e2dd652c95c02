import { NoConsistentViewError } from "#shared/errors.ts";
import { chooseViews, type ViewChoice } from "./choose-view.ts";
import type {
  ConditionalView,
  ConsistentView,
  DiskView,
  LocalDisk,
  OpenView,
  ViewKinds,
  ViewRequest,
} from "./consistent-view.ts";
import { closeAll, onlyOnce } from "./open-disks.ts";

/** A disk's view, and why it was chosen. */
export type ChosenDiskView = DiskView & Pick<ViewChoice, "kind" | "reason">;

/** The view of all disks. */
export interface ChosenView
  extends Required<Omit<ConsistentView, "frozen" | "hooks">>,
    Pick<ConsistentView, "frozen" | "hooks"> {
  readonly disks: readonly ChosenDiskView[];
}

/**
 * What `use` makes of the best view of each disk. The view is closed on every path; if both `use` and closing
 * fail, the error of `use` is thrown.
 */
export async function withBestView<T>(
  disks: readonly LocalDisk[],
  kinds: ViewKinds,
  request: ViewRequest,
  use: (view: ChosenView) => Promise<T>,
): Promise<T> {
  const view = await openBestView(disks, kinds, request);
  let result: T;
  try {
    result = await use(view);
  } catch (error) {
    await view.close().catch(() => undefined);
    throw error;
  }
  await view.close();
  return result;
}

/**
 * Opens the best view of each disk, all at once. If one of them fails, those that are open are closed, and
 * its error is thrown. Throws `NoConsistentViewError` if a disk has none and the request does not allow that.
 */
async function openBestView(
  disks: readonly LocalDisk[],
  kinds: ViewKinds,
  request: ViewRequest,
): Promise<ChosenView> {
  const choices = new Map((await choicesOf(disks, kinds)).map((choice) => [choice.name, choice]));
  for (const { name, kind, reason } of choices.values())
    if (kind === "inconsistent" && !request.allowInconsistent) throw new NoConsistentViewError(name, reason);
  const opened: ConsistentView[] = [];
  const close = onlyOnce(() => closeAll(opened.toReversed()));
  try {
    for (const kind of new Set([...choices.values()].map((choice) => choice.kind))) {
      const own = disks.filter(({ name }) => choices.get(name)?.kind === kind);
      opened.push(await openerOf(kinds, kind)(own, request));
    }
  } catch (error) {
    // The cause matters more than a failure to close.
    await close().catch(() => undefined);
    throw error;
  }
  const views = new Map(opened.flatMap((view) => view.disks.map((disk) => [disk.name, disk])));
  return {
    get freezeMilliseconds() {
      return opened.reduce((sum, view) => sum + view.freezeMilliseconds, 0);
    },
    get frozen() {
      return opened.find(({ frozen }) => frozen)?.frozen;
    },
    get hooks() {
      return opened.find(({ hooks }) => hooks !== undefined)?.hooks;
    },
    disks: disks.flatMap(({ name }) => {
      const [view, choice] = [views.get(name), choices.get(name)];
      return view && choice ? [{ ...view, kind: choice.kind, reason: choice.reason }] : [];
    }),
    settle: async (settling) => {
      for (const view of opened) await view.settle?.(settling);
    },
    committed: async () => {
      for (const view of opened) await view.committed?.();
    },
    close,
  };
}

type Obstacles = Pick<ConditionalView, "obstacles">;

/** The best view of each disk. LVM is asked only if pre-copy cannot read them all. */
export async function choicesOf(
  disks: readonly LocalDisk[],
  kinds: Partial<Readonly<Record<"pre-copy" | "lvm-snapshot", Obstacles>>>,
): Promise<ViewChoice[]> {
  const used = disks.filter(({ isStill }) => !isStill);
  const preCopy = await obstaclesTo(
    kinds["pre-copy"],
    used,
    "this system cannot follow the writes to a disk",
  );
  const isLeft = used.some(({ name }) => preCopy.has(name));
  const snapshots = await obstaclesTo(kinds["lvm-snapshot"], isLeft ? used : [], "LVM is not used here");
  return chooseViews(
    disks.map(({ name, isStill }) => ({
      ...{ name, isStill },
      preCopyObstacle: preCopy.get(name),
      snapshotObstacle: snapshots.get(name),
    })),
  );
}

async function obstaclesTo(
  way: Obstacles | undefined,
  disks: readonly LocalDisk[],
  absent: string,
): Promise<ReadonlyMap<string, string>> {
  if (!way) return new Map(disks.map(({ name }) => [name, absent]));
  return disks.length > 0 ? way.obstacles(disks) : new Map();
}

function openerOf(kinds: ViewKinds, kind: ViewChoice["kind"]): OpenView {
  const way = kinds[kind];
  if (!way) throw new RangeError(`no view of the kind ${kind}`);
  return typeof way === "function" ? way : way.open;
}
