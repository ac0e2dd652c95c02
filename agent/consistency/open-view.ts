import { chooseViews, type ViewChoice } from "./choose-view.ts";
import type { ConsistentView, DiskView, LocalDisk, ViewKinds, ViewRequest } from "./consistent-view.ts";
import { closeAll, onlyOnce } from "./open-disks.ts";

/** A disk's view, and why it was chosen. */
export type ChosenDiskView = DiskView & Pick<ViewChoice, "kind" | "reason">;

/** The view of all disks. */
export interface ChosenView extends ConsistentView {
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
 * its error is thrown.
 */
async function openBestView(
  disks: readonly LocalDisk[],
  kinds: ViewKinds,
  request: ViewRequest,
): Promise<ChosenView> {
  const choices = new Map(chooseViews(disks).map((choice) => [choice.name, choice]));
  const opened: ConsistentView[] = [];
  const close = onlyOnce(() => closeAll(opened.toReversed()));
  try {
    for (const kind of new Set([...choices.values()].map((choice) => choice.kind))) {
      const own = disks.filter(({ name }) => choices.get(name)?.kind === kind);
      opened.push(await kinds[kind](own, request));
    }
  } catch (error) {
    // The cause matters more than a failure to close.
    await close().catch(() => undefined);
    throw error;
  }
  const views = new Map(opened.flatMap((view) => view.disks.map((disk) => [disk.name, disk])));
  return {
    freezeMilliseconds: opened.reduce((sum, view) => sum + view.freezeMilliseconds, 0),
    disks: disks.flatMap(({ name }) => {
      const [view, choice] = [views.get(name), choices.get(name)];
      return view && choice ? [{ ...view, kind: choice.kind, reason: choice.reason }] : [];
    }),
    close,
  };
}
