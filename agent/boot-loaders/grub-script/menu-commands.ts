/** Commands that add entries to the menu. */
import { type GrubFile, lookAt } from "./files.ts";
import { type CommandCall, type Flow, withEvent } from "./run.ts";
import { type MenuEntry, type State, UNTOLD, valuesOf } from "./state.ts";
import type { Part, ScriptCommand, Word } from "./syntax.ts";

const TAKE_A_WORD = /^--(class|users|hotkey|source|id)$/;

/** `menuentry TITLE [OPTION…] [PARAMETER…] { … }`, and `submenu`. */
export function addEntry({ name, words, state, block }: CommandCall): Flow {
  const options = new Map<string, string>();
  const plain: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (TAKE_A_WORD.test(word)) options.set(word.slice(2), words[++at] ?? "");
    else if (word.startsWith("--")) {
      const [option = "", ...value] = word.slice(2).split("=");
      options.set(option, value.join("="));
    } else plain.push(word);
  }
  const [title, ...parameters] = plain;
  if (title === undefined) return { live: [{ ...state, status: false }] };
  const entry: MenuEntry = {
    title,
    id: options.get("id"),
    // By default, GRUB lets only superusers start it.
    users: options.get("users") ?? (options.has("unrestricted") ? undefined : ""),
    isSubmenu: name === "submenu",
    commands: block ?? [],
    parameters: [title, ...parameters],
    certain: true,
  };
  return { live: [{ ...state, entries: [...state.entries, entry], status: true }] };
}

const BLS_FOLDERS = ["/loader/entries", "/boot/loader/entries"];
const newestFirst = new Intl.Collator("en", { numeric: true });

/**
 * `blscfg` of Fedora and Red Hat: an entry for each file of the Boot Loader Specification, the newest
 * first.
 */
export function addBlsEntries({ run, state }: CommandCall): Flow {
  const folder = blsFolder(run.world.files, state);
  if (!folder) {
    return {
      live: [
        withEvent(
          { ...state, status: undefined },
          "untold",
          "the entries that blscfg adds are not found here",
        ),
      ],
    };
  }
  const entries = folder.names
    .filter((name) => name.endsWith(".conf"))
    .sort((a, b) => newestFirst.compare(b, a))
    .flatMap((name) => {
      const file = lookAt(run.world.files, state, `${folder.path}/${name}`);
      return file?.kind === "file"
        ? [blsEntry(name.slice(0, -".conf".length), file.bytes.toString("utf8"), state)]
        : [];
    });
  return { live: [{ ...state, entries: [...state.entries, ...entries], status: true }] };
}

function blsFolder(files: (device: string, path: string) => GrubFile | undefined, state: State) {
  const devices = ["root", "boot"].flatMap((name) =>
    [...valuesOf(state, name)].filter((each) => each !== null),
  );
  const named = [...valuesOf(state, "blsdir")].find((each) => each !== null);
  for (const device of new Set(devices)) {
    for (const folder of named ? [named] : BLS_FOLDERS) {
      const path = folder.startsWith("(") ? folder : `(${device})${folder}`;
      const found = lookAt(files, state, path);
      if (found?.kind === "folder") return { path, names: found.names };
    }
  }
  return undefined;
}

function blsEntry(id: string, text: string, state: State): MenuEntry {
  const lines = text.split("\n").map((line) => /^\s*(\S+)\s+(.*?)\s*$/.exec(line) ?? []);
  const all = (key: string) => lines.filter(([, name]) => name === key).map(([, , value = ""]) => value);
  const [users] = all("grub_users");
  const words: Word[] = [[{ text: "linux" }], ...[...all("linux"), ...all("options")].flatMap(wordsOf)];
  const command: ScriptCommand = { kind: "simple", words };
  return {
    title: all("title")[0] ?? id,
    id,
    users: users === undefined ? undefined : blsUsers(users, state),
    isSubmenu: false,
    commands: [command],
    parameters: [],
    certain: true,
  };
}

/** Every user may start an entry whose users are a variable that is not set. */
function blsUsers(users: string, state: State): string | undefined {
  const variable = /^\$\{?(\w+)\}?$/.exec(users)?.[1];
  if (!variable) return users;
  const values = [...valuesOf(state, variable)];
  return values.every((value) => value === null)
    ? undefined
    : (values.find((value) => value !== null) ?? UNTOLD);
}

function wordsOf(text: string): Word[] {
  return text.split(/\s+/).map((word) => {
    const variable = /^\$\{?(\w+)\}?$/.exec(word)?.[1];
    const part: Part = variable ? { variable, quoted: false } : { text: word };
    return [part];
  });
}
