/**
 * For tests: what systemd-boot finds on its partition and in its variables, and what it starts while no key
 * is pressed. Each entry says its name when it is started, so that a real systemd-boot can be asked.
 */
import { writeUnifiedKernelImage } from "../../../boot-image/unified-kernel-image.ts";
import { efiProgramThatSays } from "../../testing/efi-words.ts";

export interface SystemdBootCase {
  name: string;
  /** From the root of the EFI system partition. */
  files: Readonly<Record<string, string | Buffer>>;
  /** Of the boot loader interface. */
  variables?: Readonly<Record<string, string>>;
  /**
   * The word of the entry that it starts, `setup` where it restarts into the firmware's setup; `undefined`
   * where it waits. By version where they differ.
   */
  starts: string | undefined | Readonly<Record<SystemdBootVersion, string | undefined>>;
  /** Expected of our judgement; otherwise `unattended` where every version starts `a`, else `attended`. */
  verdict?: "unknown";
}

export const SYSTEMD_BOOT_VERSIONS = ["252", "257"] as const;
export type SystemdBootVersion = (typeof SYSTEMD_BOOT_VERSIONS)[number];

export function startsIn({ starts }: SystemdBootCase, version: SystemdBootVersion): string | undefined {
  return typeof starts === "object" ? starts[version] : starts;
}

/** Every entry is a system of its own, by its root. */
export function entryFiles(word: string, name = `${word}.conf`, more = ""): Record<string, string | Buffer> {
  return {
    [`loader/entries/${name}`]: `title Entry ${word}\nefi /${word}.efi\noptions root=/dev/${word}\n${more}`,
    [`${word}.efi`]: efiProgramThatSays(word),
  };
}

function unifiedFiles(word: string, osRelease: string): Record<string, Buffer> {
  const nothing = Buffer.alloc(16);
  const image = writeUnifiedKernelImage({
    ...{ stub: efiProgramThatSays(word), kernel: nothing, initrd: nothing },
    ...{ commandLine: `root=/dev/${word}`, osRelease },
  });
  return { [`EFI/Linux/${word}.efi`]: image };
}

function conf(text: string): Record<string, string> {
  return { "loader/loader.conf": text };
}

const A = entryFiles("a");
/** Comes before `a` in the menu: its name is the newer version. */
const B = entryFiles("b");
const BOTH = { ...A, ...B };

const TIMES: readonly SystemdBootCase[] = [
  { name: "no configuration", files: A, starts: "a" },
  { name: "two seconds", files: { ...A, ...conf("timeout 2\n") }, starts: "a" },
  { name: "no seconds", files: { ...A, ...conf("timeout 0\n") }, starts: "a" },
  { name: "a hidden menu", files: { ...A, ...conf("timeout menu-hidden\n") }, starts: "a" },
  { name: "a forced menu", files: { ...A, ...conf("timeout menu-force\n") }, starts: undefined },
  {
    name: "a forced menu between blanks and quotes",
    files: { ...A, ...conf('\t timeout \t"menu-force" \n') },
    starts: undefined,
  },
  { name: "a forced menu in a comment", files: { ...A, ...conf("# timeout menu-force\n") }, starts: "a" },
  {
    name: "a forced menu behind a carriage return",
    files: { ...A, ...conf("timeout 2\rtimeout menu-force\r\n") },
    starts: undefined,
  },
  {
    name: "a forced menu and a later line",
    files: { ...A, ...conf("timeout menu-force\ntimeout 2\n") },
    starts: "a",
  },
  {
    name: "a word that it does not accept",
    files: { ...A, ...conf("timeout 2\ntimeout never\n") },
    starts: "a",
  },
  {
    name: "a forced menu, and a word that only newer versions take",
    files: { ...A, ...conf("timeout menu-force\ntimeout menu-disabled\n") },
    starts: { 252: undefined, 257: "a" },
  },
  {
    name: "a number that stands for a forced menu",
    files: { ...A, ...conf("timeout 4294967295\n") },
    starts: undefined,
  },
  {
    name: "a number that is too large to be taken",
    files: { ...A, ...conf("timeout 4294967296\n") },
    starts: "a",
  },
  {
    name: "a variable that forces the menu",
    files: { ...A, ...conf("timeout 2\n") },
    variables: { LoaderConfigTimeout: "menu-force" },
    starts: undefined,
  },
  {
    name: "a variable that wins over a forced menu",
    files: { ...A, ...conf("timeout menu-force\n") },
    variables: { LoaderConfigTimeout: "2" },
    starts: "a",
  },
  {
    name: "a variable with a larger number than any",
    files: A,
    variables: { LoaderConfigTimeout: "4294967296" },
    starts: undefined,
  },
  {
    name: "a menu of two seconds, once",
    files: A,
    variables: { LoaderConfigTimeoutOneShot: "2" },
    starts: "a",
  },
  {
    name: "a forced menu, once",
    files: A,
    variables: { LoaderConfigTimeoutOneShot: "menu-force" },
    starts: undefined,
  },
  {
    name: "a menu of no seconds, once",
    files: A,
    variables: { LoaderConfigTimeoutOneShot: "0" },
    starts: undefined,
  },
];

const DEFAULTS: readonly SystemdBootCase[] = [
  { name: "no default: the newest name", files: BOTH, starts: "b" },
  { name: "a default", files: { ...BOTH, ...conf("default a.conf\n") }, starts: "a" },
  { name: "a default in upper case", files: { ...BOTH, ...conf("default A.CONF\n") }, starts: "a" },
  { name: "a default without its suffix", files: { ...BOTH, ...conf("default a\n") }, starts: "b" },
  { name: "a default with a star", files: { ...BOTH, ...conf("default a*\n") }, starts: "a" },
  { name: "a default with a star that fits both", files: { ...BOTH, ...conf("default *\n") }, starts: "b" },
  { name: "a default with a question mark", files: { ...BOTH, ...conf("default ?.conf\n") }, starts: "b" },
  { name: "a default with a set", files: { ...BOTH, ...conf("default [0a-].conf\n") }, starts: "a" },
  { name: "a default with a range", files: { ...BOTH, ...conf("default [a-c].conf\n") }, starts: "b" },
  {
    name: "a default with what is a negated set elsewhere",
    files: { ...BOTH, ...conf("default [!b].conf\n") },
    starts: "b",
  },
  { name: "two defaults", files: { ...BOTH, ...conf("default b.conf\ndefault a.conf\n") }, starts: "a" },
  { name: "a default that does not exist", files: { ...BOTH, ...conf("default gone.conf\n") }, starts: "b" },
  {
    name: "a default, and a special name that it does not take",
    files: { ...BOTH, ...conf("default a.conf\ndefault @current\n") },
    starts: "a",
  },
  {
    name: "a default in a variable",
    files: { ...BOTH, ...conf("default b.conf\n") },
    variables: { LoaderEntryDefault: "a.conf" },
    starts: "a",
  },
  {
    name: "another default in a variable",
    files: { ...BOTH, ...conf("default a.conf\n") },
    variables: { LoaderEntryDefault: "b.conf" },
    starts: "b",
  },
  {
    name: "a default in a variable that does not exist, and one that does",
    files: { ...BOTH, ...conf("default a.conf\n") },
    variables: { LoaderEntryDefault: "gone.conf" },
    starts: "a",
  },
  {
    name: "a default in a variable that does not exist, and another that does",
    files: { ...BOTH, ...conf("default b.conf\n") },
    variables: { LoaderEntryDefault: "gone.conf" },
    starts: "b",
  },
  {
    name: "the last one started",
    files: { ...BOTH, ...conf("default @saved\n") },
    variables: { LoaderEntryLastBooted: "a.conf" },
    starts: "a",
  },
  {
    name: "the last one started, which it does not know",
    files: { ...BOTH, ...conf("default @saved\n") },
    starts: "b",
  },
  {
    name: "the last one started, by a variable",
    files: { ...BOTH, ...conf("default b.conf\n") },
    variables: { LoaderEntryDefault: "@saved", LoaderEntryLastBooted: "a.conf" },
    starts: "a",
  },
  {
    name: "the last one started, of which nothing says that it counts",
    files: BOTH,
    variables: { LoaderEntryLastBooted: "a.conf" },
    starts: "b",
  },
  {
    name: "another one, once",
    files: { ...BOTH, ...conf("default a.conf\n") },
    variables: { LoaderEntryOneShot: "b.conf" },
    starts: "b",
  },
  {
    name: "one that does not exist, once",
    files: { ...BOTH, ...conf("default a.conf\n") },
    variables: { LoaderEntryOneShot: "gone.conf" },
    starts: "a",
  },
  {
    name: "the firmware's setup",
    files: { ...BOTH, ...conf("default auto-reboot-to-firmware-setup\n") },
    starts: "setup",
  },
  {
    name: "the firmware's setup, which the menu does not have",
    files: { ...A, ...conf("default auto-reboot-to-firmware-setup\nauto-firmware no\n") },
    starts: "a",
  },
];

const MENUS: readonly SystemdBootCase[] = [
  { name: "an entry with attempts left", files: entryFiles("a", "a+3-0.conf"), starts: "a" },
  {
    name: "a default with attempts left, by its name without them",
    files: { ...entryFiles("a", "a+3-0.conf"), ...B, ...conf("default a.conf\n") },
    starts: { 252: "b", 257: "a" },
  },
  {
    name: "a default with attempts left, by a star",
    files: { ...entryFiles("a", "a+3-0.conf"), ...B, ...conf("default a*\n") },
    starts: "a",
  },
  {
    name: "a newer entry without attempts left",
    files: { ...A, ...entryFiles("b", "b+0-3.conf") },
    starts: "a",
  },
  {
    name: "a newer entry with attempts left",
    files: { ...A, ...entryFiles("b", "b+1-2.conf") },
    starts: "b",
  },
  {
    name: "no entry with attempts left",
    files: { ...entryFiles("a", "a+0-1.conf"), ...entryFiles("b", "b+0-3.conf") },
    starts: "b",
  },
  {
    name: "a sort key against none",
    files: { ...entryFiles("a", "a.conf", "sort-key z\n"), ...B },
    starts: "a",
  },
  {
    name: "two sort keys",
    files: { ...entryFiles("a", "a.conf", "sort-key y\n"), ...entryFiles("b", "b.conf", "sort-key z\n") },
    starts: "a",
  },
  {
    name: "versions of one sort key",
    files: {
      ...entryFiles("a", "a.conf", "sort-key z\nversion 6.10~rc2-1\n"),
      ...entryFiles("b", "b.conf", "sort-key z\nversion 6.9^patched\n"),
    },
    starts: "a",
  },
  {
    name: "machines of one sort key",
    files: {
      ...entryFiles("a", "a.conf", "sort-key z\nmachine-id 1\nversion 1\n"),
      ...entryFiles("b", "b.conf", "sort-key z\nmachine-id 2\nversion 2\n"),
    },
    starts: "a",
  },
  {
    name: "names that are versions",
    files: { ...entryFiles("a", "debian-6.1.0-10.conf"), ...entryFiles("b", "debian-6.1.0-9.conf") },
    starts: "a",
  },
  {
    name: "names of which one is a candidate",
    files: { ...entryFiles("a", "debian-6.1.conf"), ...entryFiles("b", "debian-6.1~rc9.conf") },
    starts: "a",
  },
  {
    name: "a name that begins with a number, which is newer than a word",
    files: { ...entryFiles("a", "debian.conf"), ...entryFiles("b", "0-b.conf") },
    starts: "b",
  },
  {
    name: "a name that begins with a dash, which is older than all others",
    files: { ...entryFiles("a", "debian.conf"), ...entryFiles("b", "_-b.conf") },
    starts: "a",
  },
  {
    name: "an entry whose program is missing",
    files: { ...A, "loader/entries/b.conf": "title Entry b\nefi /b.efi\n" },
    starts: "a",
  },
  {
    name: "a path as the firmware writes it",
    files: { ...A, ...B, "loader/entries/b.conf": "title Entry b\nefi \\b.efi\noptions root=/dev/b\n" },
    starts: "b",
  },
  {
    name: "an entry for another machine",
    files: { ...A, ...entryFiles("b", "b.conf", "architecture aa64\n") },
    starts: "a",
  },
  {
    name: "entries that are left out for their names",
    files: { ...A, ...entryFiles("b", "auto-b.conf"), ...entryFiles("c", "c.conf.disabled") },
    starts: "a",
  },
  {
    name: "a unified kernel image, which has a sort key",
    files: { ...A, ...unifiedFiles("u", "ID=debian\nVERSION_ID=12\n") },
    starts: "u",
  },
  {
    name: "a unified kernel image that the default leaves out",
    files: { ...A, ...unifiedFiles("u", "ID=debian\n"), ...conf("default *.conf\n") },
    starts: "a",
  },
  {
    name: "a unified kernel image that names no system",
    files: { ...A, ...unifiedFiles("u", "VERSION_ID=12\n") },
    starts: "a",
  },
  {
    name: "unified kernel images of two systems",
    files: {
      ...unifiedFiles("a", "ID=debian\nVERSION_ID=12\n"),
      ...unifiedFiles("b", "ID=fedora\nVERSION_ID=41\n"),
    },
    starts: "a",
  },
  { name: "no entry at all", files: conf("timeout 1\n"), starts: "setup", verdict: "unknown" },
];

export const SYSTEMD_BOOT_CASES: readonly SystemdBootCase[] = [...TIMES, ...DEFAULTS, ...MENUS];
