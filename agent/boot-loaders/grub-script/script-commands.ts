/** Commands that run other scripts. */
import { lookAt } from "./files.ts";
import { type CommandCall, type Flow, joinedAll, withEvent } from "./run.ts";
import { type State, withVariable } from "./state.ts";

/** Runs a file in place. */
export function sourceFile({ run, name, words: [path = ""], state }: CommandCall): Flow {
  const file = lookAt(run.world.files, state, path);
  if (file?.kind === "absent" || file?.kind === "folder") return { live: [{ ...state, status: false }] };
  if (!file)
    return {
      live: [
        withEvent(
          { ...state, status: undefined },
          "untold",
          `${name} ${printable(path)} reads a file that is not found here`,
        ),
      ],
    };
  return run.runText(file.bytes.toString("utf8"), printable(path), state);
}

/**
 * Runs a file on its own, with only the exported variables, and shows its menu. Continues after it only if
 * the menu has no entry.
 */
export function configFile(call: CommandCall): Flow {
  const {
    run,
    words: [path = ""],
    state,
  } = call;
  const file = lookAt(run.world.files, state, path);
  if (file?.kind === "absent" || file?.kind === "folder") return { live: [{ ...state, status: false }] };
  if (!file) return sourceFile(call);
  const own = inOwnContext(state, path);
  const flow = run.nested(() => run.runText(file.bytes.toString("utf8"), printable(path), own));
  const end = joinedAll(flow.left ? [...flow.live, flow.left] : flow.live);
  if (!end) return { live: [] };
  run.menus.push(end);
  const goesOn = end.entries.every(({ certain }) => !certain);
  return { live: goesOn ? [{ ...state, events: end.events, status: true }] : [] };
}

/** GRUB's state when it begins with a configuration. */
export function inOwnContext(state: State, path: string): State {
  const variables = new Map([...state.variables].filter(([name]) => state.exported.has(name)));
  const own: State = { ...state, variables, entries: [], starts: [], parameters: [] };
  return withVariable(
    withVariable(own, "config_file", new Set([path])),
    "config_directory",
    new Set([parentOf(path)]),
  );
}

export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** The path with `…` in place of each unknown part. */
function printable(path: string): string {
  return path.replaceAll("\0", "…");
}
