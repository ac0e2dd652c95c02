/** GRUB's commands, as far as they decide what it starts, and when. */
import { truthOf } from "./condition.ts";
import { loadEnvironment, saveEnvironment } from "./environment-commands.ts";
import { kindOf, lookAt, uuidDevice } from "./files.ts";
import { addBlsEntries, addEntry } from "./menu-commands.ts";
import { type Flow, type GrubCommand, withEvent, withResultsUntold } from "./run.ts";
import { configFile, sourceFile } from "./script-commands.ts";
import { isTold, type State, UNTOLD, withVariable } from "./state.ts";

const done = (state: State, status: boolean | undefined = true): Flow => ({ live: [{ ...state, status }] });

const nothing: GrubCommand = ({ state }) => done(state);
/** Loads a system or leaves for it: a kernel, another loader, the firmware. */
const starts: GrubCommand = ({ name, words, state }) =>
  done({ ...state, starts: [...state.starts, { words: [name, ...words] }] });
/** GRUB no longer runs afterwards, and shows no menu. */
const leaves: GrubCommand = ({ name, state, run }) => {
  run.menus.push(withEvent(state, "stops", name));
  return { live: [] };
};
/** GRUB 2.12's own scripts ask with `--is-supported` whether the firmware has a setup, and continue. */
const firmwareSetup: GrubCommand = (call) =>
  call.words.includes("--is-supported") ? done(call.state, undefined) : leaves(call);
const boot: GrubCommand = ({ state, run }) => {
  run.booted.push(state);
  return { live: [] };
};
const asks =
  (what: string): GrubCommand =>
  ({ state }) =>
    done(withEvent(state, "asks", what), undefined);
/** Reads other kinds of configuration. */
const untold: GrubCommand = ({ name, words, state }) =>
  done(withEvent(state, "untold", `${[name, ...words].join(" ")} adds unknown entries`), undefined);
const breaks: GrubCommand = ({ state }) => ({ live: [], left: state });

const test: GrubCommand = ({ name, words, state, run }) => {
  const isClosed = name !== "[" || words.at(-1) === "]";
  const tested = name === "[" ? words.slice(0, -1) : words;
  if (!isClosed) return done(state, false);
  return done(
    state,
    truthOf(tested, (path) => kindOf(lookAt(run.world.files, state, path))),
  );
};

const set: GrubCommand = ({ words: [assignment], state }) => {
  if (assignment === undefined) return done(state);
  const at = assignment.indexOf("=");
  if (at <= 0) return done(state, false);
  const name = assignment.slice(0, at);
  if (!isTold(name)) return done(withEvent(state, "untold", "a variable with an unknown name is set"));
  return done(withVariable(state, name, new Set([assignment.slice(at + 1)])));
};

const search: GrubCommand = ({ name, words, state, run }) => {
  const isDotted = name.includes(".");
  const options = words.filter((word) => word.startsWith("-"));
  const names = words.filter((word) => !word.startsWith("-"));
  const isUuid = name === "search.fs_uuid" || options.some((word) => /^(-u|--fs-uuid)$/.test(word));
  const wanted = names.at(isDotted ? 0 : -1);
  const given = options.flatMap((word) => /^(?:--set|-s)=(.+)$/s.exec(word)?.[1] ?? [])[0];
  const isSet = given !== undefined || options.some((word) => /^(-s|--set)$/.test(word));
  const variable = isDotted ? names[1] : (given ?? (isSet ? "root" : undefined));
  if (!isUuid || wanted === undefined || !isTold(wanted)) {
    const changed = variable ? withVariable(state, variable, new Set([UNTOLD])) : state;
    return done(changed, undefined);
  }
  const device = uuidDevice(wanted);
  const isThere = run.world.files(device, "/") !== undefined;
  return done(variable ? withVariable(state, variable, new Set([device])) : state, isThere || undefined);
};

const sleep: GrubCommand = ({ words, state }) => {
  const seconds = Number(words.findLast((word) => !word.startsWith("-")) ?? Number.NaN);
  if (!Number.isInteger(seconds)) return done(withEvent(state, "untold", "sleep takes an unknown time"));
  // No key interrupts it.
  return done({ ...state, sleepSeconds: state.sleepSeconds + Math.max(0, seconds) });
};

const count =
  (step: number): GrubCommand =>
  ({ words: [name = ""], state }) => {
    const values = [...(state.variables.get(name) ?? [])].map((value) => {
      const number = value === null ? Number.NaN : Number.parseInt(value, 10);
      return Number.isNaN(number) ? UNTOLD : String(number + step);
    });
    return done(withVariable(state, name, new Set(values.length > 0 ? values : [UNTOLD])));
  };

const cryptomount: GrubCommand = ({ words, state }) =>
  words.some((word) => /^(-k|--key-file|-p|--password)(=|$)/.test(word))
    ? done(state, undefined)
    : done(
        withEvent(state, "asks", "GRUB asks for the passphrase of an encrypted volume (cryptomount)"),
        undefined,
      );

const authenticate: GrubCommand = ({ state }) => {
  const superusers = state.variables.get("superusers");
  if (!superusers || [...superusers].every((value) => value === null)) return done(state);
  return done(withEvent(state, "asks", "GRUB asks for a user's password (authenticate)"), undefined);
};

const evaluate: GrubCommand = ({ words, state, run }) => {
  const text = words.join(" ");
  return isTold(text)
    ? run.runText(text, "eval", state)
    : done(withEvent(state, "untold", "eval runs unknown commands"), undefined);
};

const unset: GrubCommand = ({ words, state }) =>
  done(words.reduce((all, name) => withVariable(all, name, new Set([null])), state));

const exportNames: GrubCommand = ({ words, state }) =>
  done({
    ...state,
    exported: new Set([...state.exported, ...words.map((word) => word.split("=")[0] ?? "")]),
  });

const shift: GrubCommand = ({ words: [count_ = "1"], state }) =>
  done({ ...state, parameters: state.parameters.slice(Number(count_) || 1) });

/** Whether a key is held down, which none is. Without a key's name, whether GRUB could find out. */
const keystatus: GrubCommand = ({ words, state }) => done(state, words.length > 0 ? false : undefined);

const COMMANDS = new Map<string, GrubCommand>();
const named = (names: string, command: GrubCommand) => {
  for (const name of names.split(" ")) COMMANDS.set(name, command);
};

named("true echo insmod clear loadfont password password_pbkdf2 background_image background_color", nothing);
named(
  "terminal_input terminal_output terminfo serial gfxmode videoinfo play lsfonts cat ls export_env",
  nothing,
);
named("initrd initrdefi initrd16 devicetree rmmod load_video", nothing);
named("false", ({ state }) => done(state, false));
named("test [", test);
named("set", set);
named("unset", unset);
named("export", exportNames);
named("load_env", loadEnvironment);
named("save_env", saveEnvironment);
named("source .", sourceFile);
named("configfile", configFile);
named("menuentry submenu", addEntry);
named("blscfg", addBlsEntries);
named("linux linux16 linuxefi xen_hypervisor multiboot multiboot2 kernel chainloader", starts);
named("module module2 xen_module", starts);
named("knetbsd kfreebsd kopenbsd ntldr freedos drivemap", starts);
named("boot", boot);
named("halt reboot exit", leaves);
named("fwsetup", firmwareSetup);
named("return break continue", breaks);
named("search search.fs_uuid search.fs_label search.file", search);
named("sleep", sleep);
named("read", ({ words: [name], state }) => {
  const asked = withEvent(state, "asks", "GRUB's configuration waits for a person to type a line (read)");
  return done(name ? withVariable(asked, name, new Set([UNTOLD])) : asked, undefined);
});
named("pause", asks("GRUB's configuration waits for a key (pause)"));
named("authenticate", authenticate);
named("cryptomount", cryptomount);
named("keystatus", keystatus);
named("increment", count(1));
named("decrement", count(-1));
named("eval", evaluate);
named("shift", shift);
named("setparams", ({ words, state }) => done({ ...state, parameters: words }));
named("legacy_configfile legacy_source syslinux_configfile syslinux_source normal", untold);
named("extract_entries_source extract_entries_configfile extract_syslinux_entries_source", untold);
named(
  "extract_legacy_entries_source extract_legacy_entries_configfile extract_syslinux_entries_configfile",
  untold,
);
named("probe regexp smbios getenv hwmatch cpuid file date usb_keyboard loopback", ({ words, state }) =>
  done(withResultsUntold(state, words), undefined),
);

export function commandNamed(name: string): GrubCommand | undefined {
  return COMMANDS.get(name);
}
